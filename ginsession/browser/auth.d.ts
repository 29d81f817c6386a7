// What auth.js exports. Times are RFC 3339, durations whole seconds.

/** Who is signed in. A user of the application's own may have more fields. */
export interface User {
	readonly userId: string;
	readonly username: string;
	readonly email: string;
	readonly role: string;
	readonly lastLogin?: string;
}

/** The session. None of it opens anything. */
export interface Session {
	readonly id: string;
	readonly createdAt: string;
	readonly lastAccessed: string;
	readonly authenticatedAt: string;
	/** When it ends if it is not used again: the earliest of its limits. */
	readonly expiresAt: string;
	readonly absoluteExpiresAt: string;
	readonly userAgent: string;
	readonly ipAddress: string;
}

/** The code of a 401 that says that nobody is signed in. */
export type Reason = "SESSION_NOT_FOUND" | "SESSION_EXPIRED" | "SESSION_INVALID" | "JWT_INVALID";

/** What the server answers to GET session, login, logout, refresh and reauthenticate. */
export interface StatusBody {
	readonly isAuthenticated: boolean;
	readonly isExpired?: boolean;
	readonly remainingTime?: number;
	readonly refreshIn?: number;
	readonly serverTime?: string;
	readonly reason?: Reason | null;
	readonly endReason?: string | null;
	readonly actor?: unknown;
	readonly user?: User | null;
	readonly session?: Session | null;
}

/** What went wrong: the server's code, "HTTP_404" for an answer without one, "NETWORK" for no answer. */
export interface AuthError extends Error {
	readonly code: string;
	readonly status?: number;
	/** Seconds to wait. */
	readonly retryAfter?: number;
}

/** The state. It is frozen, and stays the same object until something in it changes. */
export interface Snapshot {
	/**
	 * "loading" until the server has said who is signed in. No answer is no
	 * logout: failures leave the status as it is and set error.
	 */
	readonly status: "loading" | "authenticated" | "unauthenticated";
	readonly isAuthenticated: boolean;
	readonly isLoading: boolean;
	/** A refresh() or extend() is under way. What the client asks by itself does not show. */
	readonly isRefreshing: boolean;
	readonly isLoggingOut: boolean;
	readonly user: User | null;
	readonly session: Session | null;
	/** Why nobody is signed in although there was a session. */
	readonly reason: Reason | null;
	/** Why the server ended it: logout, revoked, password, limit, role, disabled, reuse, idle, expired, absolute, admin. */
	readonly endReason: string | null;
	/** Who is behind the user during impersonation. */
	readonly actor: unknown;
	/** What went wrong last, until the next answer. */
	readonly error: AuthError | null;
	/** Whole seconds to the end of the session, by the server's clock. Counts down. */
	remainingSeconds(): number;
}

export interface AuthOptions {
	/** Where (*Manager).Routes is mounted. Defaults to "/auth". */
	base?: string;
	/** How long before the end "expiring" is told. Defaults to 300. */
	warnSeconds?: number;
	/** How often to ask while the page is visible. Defaults to 0: never, which is enough for most. */
	pollSeconds?: number;
	/** Ask when the page becomes visible and the last answer is older than 5 seconds. Defaults to true. */
	refetchOnFocus?: boolean;
	/** Be "loading" when the page comes out of the back/forward cache, until there is an answer. */
	guardBfcache?: boolean;
	/** See on("reauth"). */
	onReauth?: ReauthHandler;
}

/**
 * Asks the user for the password and calls reauth(). The request that was
 * refused with REAUTH_REQUIRED waits for it and is sent once more, unless it
 * rejects or gives false.
 */
export type ReauthHandler = (error: AuthError) => unknown;

export interface AuthEvents {
	/** Something in the snapshot changed. */
	change: undefined;
	/** Somebody signed in, here or in another tab. */
	login: Snapshot;
	/** Nobody is signed in any more. */
	logout: Snapshot;
	/** The session ran out. */
	expired: Snapshot;
	/** It is about to, and will not be extended by itself. */
	expiring: { remainingSeconds: number; extend(): Promise<Snapshot> };
	/**
	 * Another user than the one this page was made for. The page is loaded anew,
	 * so that nothing of the former is left, unless a listener returns false. It is
	 * not reloaded: that would send the form again that led to it, if one did.
	 */
	userchange: { previous: User; user: User };
	error: AuthError;
	/** A request needs the password again: the last listener is asked. */
	reauth: AuthError;
}

export interface Auth {
	getSnapshot(): Snapshot;
	/** The snapshot of the first paint, for hydration. */
	getServerSnapshot(): Snapshot;
	/** Calls fn when the snapshot has changed; returns what ends that. */
	subscribe(fn: () => void): () => void;
	/** Asks how the session stands, or shares the request that asks. With force asks anew. Never rejects. */
	refresh(options?: { force?: boolean }): Promise<Snapshot>;
	/** Renews the session. Never rejects. */
	extend(): Promise<Snapshot>;
	/** Signs in. Rejects with an AuthError. */
	login(body: { username: string; password: string; remember?: boolean }): Promise<Snapshot>;
	/** Signs out. Never rejects: without an answer the session stays, because its cookie does, and error is set. */
	logout(): Promise<Snapshot>;
	/** Proves again who the user is. Rejects with an AuthError. */
	reauth(body: { password: string }): Promise<Snapshot>;
	/**
	 * Takes a status body for the first answer, so that none is asked for. Counts
	 * once, before there is an answer: call it right after createAuth. On a server
	 * only on a store of the one request.
	 */
	hydrate(body: StatusBody): void;
	/** Is fetch, and hears what answers say about the session. */
	fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
	/** Calls fn when it happens; returns what ends that. */
	on<K extends keyof AuthEvents>(event: K, fn: (detail: AuthEvents[K]) => unknown): () => void;
}

/**
 * Makes the store of a page. It starts from
 * <script type="application/json" id="ginsession-state">, if there is one, or
 * else with one request. A page needs one store.
 */
export function createAuth(options?: AuthOptions): Auth;
