// The session in React: see react.d.ts.

import { createContext, createElement, useContext, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { createAuth } from "./auth.js";

const Auth = createContext(null);
const views = new WeakMap();
let ofPage; // the store where there is no AuthProvider

export const AuthProvider = ({ auth, children }) => createElement(Auth.Provider, { value: auth }, children);
const useStore = () => useContext(Auth) ?? (ofPage ??= createAuth());

// A view is a snapshot together with what can be done.
const viewOf = (auth, snapshot) => {
	if (!views.has(snapshot)) views.set(snapshot, Object.freeze({ ...auth, ...snapshot }));
	return views.get(snapshot);
};

export function useAuth(select) {
	const auth = useStore();
	const last = useMemo(() => ({}), [auth]);
	const pick = (get) => () => {
		const view = viewOf(auth, get());
		if (!select) return view;
		const next = select(view), text = JSON.stringify(next);
		const same = typeof next === "object" ? text === last.text : next === last.value;
		return same ? last.value : Object.assign(last, { value: next, text }).value;
	};
	return useSyncExternalStore(auth.subscribe, pick(auth.getSnapshot), pick(auth.getServerSnapshot));
}

export function RequireAuth({ fallback = null, children }) {
	const auth = useAuth();
	if (auth.isAuthenticated) return children;
	return typeof fallback === "function" ? fallback(auth) : fallback;
}

export function useReauth(prove) {
	const auth = useStore();
	const latest = useRef(prove);
	useEffect(() => {
		latest.current = prove;
	});
	useEffect(() => auth.on("reauth", (problem) => latest.current?.(problem)), [auth]);
	return auth.reauth;
}
