// What react.js exports.

import type { ReactElement, ReactNode } from "react";
import type { Auth, ReauthHandler, Snapshot } from "./auth.js";

/** A snapshot together with the calls of the store. */
export type AuthView = Snapshot & Auth;

/** Says which store the components in it use. Without one they share createAuth(). */
export function AuthProvider(props: { auth: Auth; children?: ReactNode }): ReactElement;

/** The state and the calls. The component renders again when something changes. */
export function useAuth(): AuthView;
/** With select, only when what it returns changes. */
export function useAuth<T>(select: (auth: AuthView) => T): T;

/**
 * Renders children for those who are signed in and fallback for everybody
 * else, also while it is not known yet: a function can tell the two apart. It
 * hides; what protects is the server.
 */
export function RequireAuth(props: {
	fallback?: ReactNode | ((auth: AuthView) => ReactNode);
	children?: ReactNode;
}): ReactNode;

/** Has prove called when a request of auth.fetch needs the password again. Returns auth.reauth. */
export function useReauth(prove: ReauthHandler): Auth["reauth"];
