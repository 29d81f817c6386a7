// A page of React without a build step: elements are made by calls.

import { createElement as h, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { AuthProvider, RequireAuth, useAuth } from "ginsession/react";
import { auth } from "./auth.js";

function Seconds() {
	const { remainingSeconds } = useAuth();
	const [left, setLeft] = useState(remainingSeconds());
	useEffect(() => {
		const timer = setInterval(() => setLeft(remainingSeconds()), 500);
		return () => clearInterval(timer);
	}, [remainingSeconds]);
	return h("strong", null, left + " s");
}

function Profile() {
	const { user, extend, logout, isRefreshing } = useAuth();
	return h("div", { id: "profile" },
		h("p", null, "Hello, ", h("strong", null, user.username), ". Your role is ", user.role || "none", ". The session ends in ", h(Seconds), "."),
		h("p", { className: "buttons" },
			h("button", { type: "button", onClick: extend, disabled: isRefreshing }, "Extend it"),
			h("button", { type: "button", onClick: logout, className: "quiet" }, "Sign out")));
}

const visitor = (view) => h("p", { id: "visitor" }, view.isLoading ? "One moment …" : ["Nobody is signed in. ", h("a", { href: "/login?next=/react", key: 1 }, "Sign in")]);

createRoot(document.getElementById("root")).render(
	h(AuthProvider, { auth }, h(RequireAuth, { fallback: visitor }, h(Profile))));
