// What an application writes. It is compiled, and not run: see module.test.mjs.

import { createElement } from "react";
import { createAuth, type Auth, type AuthError, type Snapshot, type User } from "../auth.js";
import { AuthProvider, RequireAuth, useAuth, useReauth } from "../react.js";

const auth: Auth = createAuth({ base: "/auth", warnSeconds: 300, pollSeconds: 0, refetchOnFocus: true, guardBfcache: true });
createAuth({ onReauth: async (error) => error.code === "REAUTH_REQUIRED" });
const snapshot: Snapshot = auth.getSnapshot();
const user: User | null = snapshot.user;
const seconds: number = snapshot.remainingSeconds();
const stop: () => void = auth.subscribe(() => {});
auth.on("expiring", ({ remainingSeconds, extend }) => remainingSeconds > 60 && extend());
auth.on("userchange", ({ previous, user }) => previous.userId === user.userId);
auth.login({ username: "ada", password: "…", remember: true }).catch((e: AuthError) => e.retryAfter);
const response: Promise<Response> = auth.fetch(new URL("https://app.example/"), { method: "POST" });
auth.hydrate({ isAuthenticated: false, reason: null, user: null, session: null });

// @ts-expect-error snapshots are read only
snapshot.user = null;
// @ts-expect-error no such event
auth.on("logon", () => {});
// @ts-expect-error a password is needed
auth.reauth({});
// @ts-expect-error no such option
createAuth({ url: "/auth" });

export function App() {
	const { isAuthenticated, isLoading, logout } = useAuth();
	const name: string | undefined = useAuth((s) => s.user?.username);
	const reauth = useReauth(() => false);
	// @ts-expect-error it is a string
	const wrong: number = useAuth((s) => s.status);
	return createElement(
		AuthProvider,
		{ auth },
		createElement(RequireAuth, { fallback: (s) => (s.isLoading ? "…" : "Sign in") }, name),
		createElement(RequireAuth, { fallback: createElement("p") }),
		[isAuthenticated, isLoading, logout, reauth, wrong, user, seconds, stop, response].length,
	);
}
