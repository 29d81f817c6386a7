// The hooks in real React, over the real store, in a document.

import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Window } from "happy-dom";
import { World, ada, gate, refusal, settled } from "../testdata/rig.mjs";

// What the modules find when they are loaded. The timers hold nobody up.
const window = new Window({ url: "https://app.example/" });
const { setTimeout } = globalThis;
let world;
Object.assign(globalThis, {
	window,
	document: window.document,
	localStorage: window.localStorage,
	location: window.location,
	addEventListener: window.addEventListener.bind(window),
	BroadcastChannel: undefined,
	setTimeout: (...args) => setTimeout(...args).unref(),
	fetch: async (input, init = {}) => {
		const request = { method: init.method ?? "GET", path: String(input), body: init.body && JSON.parse(init.body) };
		world.requests.push(request);
		return (await world.respond?.(request)) || world.serve(request);
	},
	IS_REACT_ACT_ENVIRONMENT: true,
});
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });

const { createElement: h, act, StrictMode, useState } = await import("react");
const { createRoot, hydrateRoot } = await import("react-dom/client");
const { renderToString } = await import("react-dom/server");
const { createAuth } = await import("../auth.js");
const { AuthProvider, RequireAuth, useAuth, useReauth } = await import("../react.js");

beforeEach(() => {
	world = new World();
	world.now = Date.now();
	world.signIn(ada);
	window.localStorage.clear();
	window.document.body.innerHTML = "";
});

const seeded = (status = world.status()) => {
	const auth = createAuth();
	auth.hydrate(status);
	return auth;
};

/** Renders, and returns the element and what ends it. */
const render = async (element) => {
	const container = window.document.createElement("div");
	window.document.body.append(container);
	const root = createRoot(container);
	await act(() => root.render(element));
	return { container, rerender: (next) => act(() => root.render(next)), unmount: () => act(() => root.unmount()) };
};
const provided = (auth, ...children) => h(AuthProvider, { auth }, ...children);
const wait = () => act(settled);
/** Holds all answers back until the function that it returns is called. */
const held = () => {
	const { promise, open } = gate();
	world.respond = () => promise;
	return open;
};

describe("useAuth", () => {
	it("is one request when StrictMode mounts everything twice", async () => {
		const auth = createAuth();
		const Who = () => h("p", null, useAuth().user?.username ?? "?");
		const { container } = await render(h(StrictMode, null, provided(auth, h(Who), h(Who), h(Who))));
		await wait();
		assert.equal(container.textContent, "adaadaada");
		assert.deepEqual(world.take(), ["GET /session"]);
	});

	it("has the state and the calls, under the names that useAuth always had", async () => {
		const auth = seeded();
		let view;
		const Button = () => {
			view = useAuth();
			return h("button", { onClick: view.logout }, view.isAuthenticated ? "Sign out" : "Signed out");
		};
		const { container } = await render(provided(auth, h(Button)));
		const { isAuthenticated, isLoading, user } = view;
		assert.deepEqual({ isAuthenticated, isLoading, user }, { isAuthenticated: true, isLoading: false, user: ada });
		assert.ok(Object.isFrozen(view));
		await act(async () => {
			container.querySelector("button").click();
			await settled();
		});
		assert.equal(container.textContent, "Signed out");
		assert.deepEqual(world.take(), ["POST /logout"]);
	});

	it("renders again only when something changed", async () => {
		const auth = seeded();
		let whole = 0, part = 0, object = 0;
		const Whole = () => (useAuth(), whole++, null);
		const Part = () => (useAuth((s) => s.user?.username), part++, null);
		const Fresh = () => (useAuth((s) => ({ name: s.user?.username, role: s.user?.role })), object++, null);
		await render(provided(auth, h(Whole), h(Part), h(Fresh)));
		assert.deepEqual([whole, part, object], [1, 1, 1]);

		await act(() => auth.refresh({ force: true }).then(settled)); // isRefreshing, and back
		const after = whole;
		assert.deepEqual([part, object], [1, 1]);

		window.dispatchEvent(new window.Event("online")); // answered less than 5 s ago
		await wait();
		assert.deepEqual([whole, part, object], [after, 1, 1]);

		world.who.expires += 60e3; // the session changes, and the user does not
		await act(() => auth.refresh({ force: true }).then(settled));
		assert.ok(whole > after);
		assert.deepEqual([part, object], [1, 1]);

		world.who.user = { ...ada, role: "editor" };
		await act(() => auth.refresh({ force: true }).then(settled));
		assert.deepEqual([part, object], [1, 2]);
	});

	it("selects calls too", async () => {
		const auth = seeded();
		let logout;
		const Component = () => ((logout = useAuth((s) => s.logout)), null);
		await render(provided(auth, h(Component)));
		assert.equal(logout, auth.logout);
	});

	it("follows another store", async () => {
		const Who = () => h("p", null, useAuth((s) => ({ name: s.user?.username ?? "nobody" })).name);
		const who = h(Who);
		const { container, rerender } = await render(provided(seeded(), who));
		assert.equal(container.textContent, "ada");
		await rerender(provided(seeded(world.nobody(null)), who));
		assert.equal(container.textContent, "nobody");
	});

	it("uses one store for the page where there is no provider", async () => {
		const Who = () => h("p", null, useAuth((s) => s.user?.username ?? s.status));
		const open = held();
		const first = await render(h(StrictMode, null, h(Who), h(Who)));
		assert.equal(first.container.textContent, "loadingloading");
		open();
		await wait();
		assert.equal(first.container.textContent, "adaada");
		const second = await render(h(Who));
		assert.equal(second.container.textContent, "ada");
		assert.deepEqual(world.take(), ["GET /session"]);
	});

	it("hydrates what a server has rendered, without a mismatch", async () => {
		for (const auth of [seeded(), createAuth()]) {
			const Who = () => h("p", null, useAuth((s) => s.user?.username ?? s.status));
			const container = window.document.createElement("div");
			container.innerHTML = renderToString(provided(auth, h(Who)));
			const before = container.textContent;
			await settled(); // an answer before hydration must not show in it
			const errors = [];
			await act(() => hydrateRoot(container, provided(auth, h(Who)), { onRecoverableError: (e) => errors.push(e) }));
			assert.ok(["ada", "loading"].includes(before));
			assert.equal(container.textContent, "ada");
			assert.deepEqual(errors, []);
		}
	});
});

describe("useAuth(select)", () => {
	const selects = {
		"a set": [(s) => new Set([s.user?.role]), (set) => set.has("admin")],
		"an object of functions": [(s) => ({ can: (role) => s.user?.role === role }), (o) => o.can("admin")],
		"a function": [(s) => (role) => s.user?.role === role, (can) => can("admin")],
		"an object": [(s) => ({ role: s.user?.role }), (o) => o.role === "admin"],
	};
	for (const [name, [select, isAdmin]] of Object.entries(selects)) {
		it(`follows the role when it makes ${name}`, async () => {
			const auth = seeded();
			let seen;
			const Seer = () => {
				seen = isAdmin(useAuth(select));
				return null;
			};
			await render(provided(auth, h(Seer)));
			assert.equal(seen, true);
			world.signIn({ ...ada, role: "viewer" });
			await act(() => auth.refresh({ force: true }));
			assert.equal(seen, false);
		});
	}
});

describe("RequireAuth", () => {
	it("shows its fallback until it is known that somebody is signed in", async () => {
		const open = held();
		const auth = createAuth();
		const fallback = (s) => (s.isLoading ? "wait" : h("a", { href: "/login" }, "Sign in"));
		const { container } = await render(provided(auth, h(RequireAuth, { fallback }, "secret")));
		assert.equal(container.textContent, "wait");
		open();
		await wait();
		assert.equal(container.textContent, "secret");
		await act(() => auth.logout());
		assert.equal(container.textContent, "Sign in");
		assert.equal(container.querySelector("a").getAttribute("href"), "/login");
	});

	it("takes an element as fallback, or nothing", async () => {
		const auth = seeded(world.nobody(null));
		const { container } = await render(
			provided(auth, h(RequireAuth, { fallback: h("i", null, "no") }, "secret"), h(RequireAuth, null, "secret")),
		);
		assert.equal(container.innerHTML, "<i>no</i>");
	});

	it("keeps the form in it when the session is asked for, extended or not to be had", async () => {
		const auth = seeded();
		let renders = 0;
		const Form = () => {
			renders++;
			const [state] = useState(() => ({}));
			return h("input", { ref: (element) => void (state.element = element) });
		};
		const { container } = await render(provided(auth, h(RequireAuth, null, h(Form))));
		const input = container.querySelector("input");
		input.value = "half a novel";
		await act(() => auth.refresh({ force: true }));
		await act(() => auth.extend());
		world.respond = () => refusal(503, "STORE_UNAVAILABLE");
		await act(() => auth.refresh({ force: true }));
		assert.equal(auth.getSnapshot().error.code, "STORE_UNAVAILABLE");
		assert.equal(container.querySelector("input"), input);
		assert.equal(container.querySelector("input").value, "half a novel");
		assert.equal(renders, 1);
	});
});

describe("useReauth", () => {
	it("asks the latest function while it is mounted", async () => {
		const auth = seeded();
		const seen = [];
		let reauth;
		const Dialog = ({ name }) => {
			reauth = useReauth((e) => (seen.push(name, e.code), false));
			return null;
		};
		world.respond = ({ path }) => path === "/api" && refusal(403, "REAUTH_REQUIRED");
		const { rerender, unmount } = await render(provided(auth, h(Dialog, { name: "first" })));
		await rerender(provided(auth, h(Dialog, { name: "second" })));
		assert.equal((await auth.fetch("/api")).status, 403);
		assert.deepEqual(seen, ["second", "REAUTH_REQUIRED"]);
		assert.equal(reauth, auth.reauth);
		await unmount();
		await auth.fetch("/api");
		assert.equal(seen.length, 2);
	});
});
