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

// alike compares plain objects and arrays by what is in them.
const plain = (v) => v && [Object.prototype, Array.prototype].includes(Object.getPrototypeOf(v));
const alike = (a, b) => {
	if (Object.is(a, b)) return true;
	if (!plain(a) || !plain(b) || Object.keys(a).length !== Object.keys(b).length) return false;
	return Object.keys(a).every((key) => Object.is(a[key], b[key]));
};

export function useAuth(select) {
	const auth = useStore();
	const last = useMemo(() => ({}), [auth]);
	const pick = (get) => {
		let of, value; // select runs once for a view, so that what it makes anew is no change
		return () => {
			const view = viewOf(auth, get());
			if (!select) return view;
			if (view !== of) {
				of = view;
				const next = select(view);
				value = alike(next, last.value) ? last.value : (last.value = next);
			}
			return value;
		};
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
