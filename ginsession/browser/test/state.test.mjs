// The state: the first one, who asks for the next, and who hears of it.
// Behaviours 1, 2, 3 and 11.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { World, ada, answer, bob, gate, record, refusal, settled } from "../testdata/rig.mjs";

const signedInWorld = () => {
	const world = new World();
	world.signIn(ada);
	return world;
};

describe("1. first state", () => {
	it("is loading without a seed, until the one request is answered", async () => {
		const world = signedInWorld();
		const auth = world.tab().createAuth();
		const { remainingSeconds, ...snapshot } = auth.getSnapshot();
		assert.deepEqual(snapshot, {
			status: "loading", isAuthenticated: false, isLoading: true, isRefreshing: false, isLoggingOut: false,
			user: null, session: null, reason: null, endReason: null, actor: null, error: null,
		});
		assert.equal(remainingSeconds(), 0);
		await settled();
		assert.deepEqual(world.take(), ["GET /session"]);
		const now = auth.getSnapshot();
		assert.equal(now.status, "authenticated");
		assert.equal(now.isAuthenticated, true);
		assert.equal(now.isLoading, false);
		assert.deepEqual(now.user, ada);
		assert.equal(now.session.id, "session-1");
		assert.equal(now.remainingSeconds(), 24 * 3600);
	});

	it("is unauthenticated when the answer says so, and has the reason", async () => {
		const world = new World();
		world.respond = () => answer(200, { ...world.nobody("SESSION_NOT_FOUND"), endReason: "password" });
		const auth = world.tab().createAuth();
		await settled();
		const { status, user, session, reason, endReason } = auth.getSnapshot();
		assert.deepEqual({ status, user, session, reason, endReason }, {
			status: "unauthenticated", user: null, session: null, reason: "SESSION_NOT_FOUND", endReason: "password",
		});
	});

	it("passes on who is behind the user", async () => {
		const world = signedInWorld();
		world.respond = () => answer(200, { ...world.status(), actor: { userId: "9", username: "root" }, user: { ...ada, actor: "9" } });
		const auth = world.tab().createAuth();
		await settled();
		assert.deepEqual(auth.getSnapshot().actor, { userId: "9", username: "root" });
		assert.equal(auth.getSnapshot().user.actor, "9");
	});

	it("comes from the page's script, right at once and without a request", async () => {
		const world = signedInWorld();
		const auth = world.tab({ seed: world.status() }).createAuth();
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.deepEqual(auth.getSnapshot().user, ada);
		assert.equal(auth.getServerSnapshot(), auth.getSnapshot());
		await settled();
		assert.deepEqual(world.take(), []);
	});

	it("asks nothing when the seed says that nobody is signed in", async () => {
		const world = new World();
		const auth = world.tab({ seed: world.status() }).createAuth();
		assert.equal(auth.getSnapshot().status, "unauthenticated");
		await world.pass(60e3);
		assert.deepEqual(world.take(), []);
	});

	it("asks when the seed cannot be read", async () => {
		for (const seed of ["", "{", "null"]) {
			const world = signedInWorld();
			const auth = world.tab({ seed }).createAuth();
			assert.equal(auth.getSnapshot().status, "loading");
			await settled();
			assert.deepEqual(world.take(), ["GET /session"], seed);
		}
	});

	it("comes from hydrate, without a request", async () => {
		const world = signedInWorld();
		const auth = world.tab().createAuth();
		auth.hydrate(world.status());
		assert.deepEqual(auth.getSnapshot().user, ada);
		assert.equal(auth.getServerSnapshot(), auth.getSnapshot());
		await settled();
		assert.deepEqual(world.take(), []);
	});

	it("takes hydrate once, and only before there is an answer", async () => {
		const world = signedInWorld();
		const auth = world.tab().createAuth();
		auth.hydrate(world.status());
		auth.hydrate(world.nobody(null));
		assert.equal(auth.getSnapshot().status, "authenticated");

		const late = world.tab().createAuth();
		await settled();
		late.hydrate(world.nobody(null));
		assert.equal(late.getSnapshot().status, "authenticated");
	});

	it("supersedes the first request when hydrate comes during it", async () => {
		const world = signedInWorld();
		const { promise, open } = gate();
		world.respond = () => promise.then(() => answer(200, world.nobody(null)));
		const auth = world.tab().createAuth();
		await settled();
		auth.hydrate(world.status());
		open();
		await settled();
		assert.equal(auth.getSnapshot().status, "authenticated");
	});

	it("stays loading while answers fail, and asks again until there is one", async () => {
		const world = signedInWorld();
		world.respond = () => refusal(503, "STORE_UNAVAILABLE", { "Retry-After": "5" });
		const auth = world.tab().createAuth();
		await settled();
		assert.equal(auth.getSnapshot().status, "loading");
		assert.equal(auth.getSnapshot().error.code, "STORE_UNAVAILABLE");
		world.respond = () => answer(200, "<html>not JSON of ours</html>");
		await world.pass(5e3);
		assert.equal(auth.getSnapshot().status, "loading");
		assert.equal(auth.getSnapshot().error.code, "HTTP_200");
		world.respond = null;
		world.down = true;
		await world.pass(30e3);
		assert.equal(auth.getSnapshot().status, "loading");
		assert.equal(auth.getSnapshot().error.code, "NETWORK");
		world.down = false;
		await world.pass(30e3);
		assert.equal(auth.getSnapshot().status, "authenticated");
		assert.equal(auth.getSnapshot().error, null);
	});

	it("keeps the snapshot of the first paint for hydration", async () => {
		const world = signedInWorld();
		const auth = world.tab().createAuth();
		const first = auth.getServerSnapshot();
		await settled();
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.equal(auth.getServerSnapshot(), first);
		assert.equal(first.status, "loading");
	});
});

describe("2. one request in flight", () => {
	it("is shared by all callers", async () => {
		const world = signedInWorld();
		world.latency = 100;
		const auth = world.tab().createAuth();
		const answers = Promise.all([auth.refresh(), auth.refresh(), auth.refresh()]);
		await world.pass(100);
		assert.deepEqual(world.take(), ["GET /session"]);
		const snapshot = auth.getSnapshot();
		assert.deepEqual((await answers).map((s) => s === snapshot), [true, true, true]);
	});

	it("is superseded by a forced one, which all callers get", async () => {
		const world = signedInWorld();
		world.latency = 100;
		const auth = world.tab().createAuth();
		const shared = auth.refresh();
		await world.pass(50);
		const [{ init }] = world.requests;
		const forced = auth.refresh({ force: true });
		assert.equal(init.signal.aborted, true);
		world.who.user = { ...ada, role: "editor" };
		await world.pass(100);
		assert.deepEqual(world.take(), ["GET /session", "GET /session"]);
		assert.equal((await shared).user.role, "editor");
		assert.equal(await forced, await shared);
	});

	it("drops an answer that comes late", async () => {
		const world = signedInWorld();
		const { promise, open } = gate();
		const tab = world.tab();
		const fetch = tab.fetch;
		tab.fetch = (input, init) => fetch.call(tab, input, { ...init, signal: undefined }); // a deaf one
		world.respond = () => promise.then(() => answer(200, world.nobody("JWT_INVALID")));
		const auth = tab.createAuth();
		await settled();
		world.respond = null;
		await auth.refresh({ force: true });
		open();
		await settled();
		assert.equal(auth.getSnapshot().status, "authenticated");
	});

	it("drops what was asked before a sign-in and comes after it", async () => {
		const world = new World();
		const tab = world.tab();
		const auth = await tab.signedIn();
		const { promise, open } = gate();
		const before = answer(200, world.nobody(null));
		world.respond = ({ method }) => method === "GET" && promise.then(() => before);
		const asked = auth.refresh();
		await auth.login({ username: "ada", password: "right" });
		open();
		assert.equal((await asked).status, "authenticated");
		assert.equal(auth.getSnapshot().isRefreshing, false);
	});

	it("waits for a POST under way, and asks after it when forced", async () => {
		const world = new World();
		world.latency = 100;
		const auth = world.tab({ seed: world.status() }).createAuth();
		await settled();
		auth.login({ username: "ada", password: "right" });
		const shared = auth.refresh();
		const forced = [auth.refresh({ force: true }), auth.refresh({ force: true })];
		await world.pass(100);
		assert.deepEqual(world.take(), ["POST /login", "GET /session"]);
		assert.equal((await shared).user.username, "ada");
		await world.pass(100);
		assert.equal((await forced[0]).user.username, "ada");
		assert.equal(await forced[1], await forced[0]);
		assert.deepEqual(world.take(), []);
	});

	it("sends POSTs one after another", async () => {
		const world = signedInWorld();
		const auth = await world.tab().signedIn();
		world.latency = 100;
		auth.extend();
		auth.logout();
		await settled();
		assert.deepEqual(world.take(), ["POST /session/refresh"]);
		assert.equal(auth.getSnapshot().isLoggingOut, true);
		await world.pass(100);
		assert.equal(auth.getSnapshot().isLoggingOut, true);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.deepEqual(world.take(), ["POST /logout"]);
		auth.refresh({ force: true });
		await settled();
		assert.deepEqual(world.take(), []);
		await world.pass(100);
		assert.equal(auth.getSnapshot().status, "unauthenticated");
		assert.equal(auth.getSnapshot().isLoggingOut, false);
	});

	it("gives up a request that hangs, after 30 seconds", async () => {
		const world = signedInWorld();
		world.respond = () => new Promise(() => {});
		const auth = world.tab().createAuth();
		await world.pass(29e3);
		assert.equal(auth.getSnapshot().error, null);
		world.respond = null;
		await world.pass(5e3);
		assert.equal(auth.getSnapshot().status, "authenticated");
		assert.deepEqual(world.take(), ["GET /session", "GET /session"]);
	});

	it("shows isRefreshing for what the page asks, not for what the client asks", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn();
		const seen = [];
		auth.subscribe(() => seen.push(auth.getSnapshot().isRefreshing));
		await auth.refresh();
		assert.deepEqual(seen, [true, false]);
		await world.pass(10e3);
		tab.show();
		await settled();
		assert.deepEqual(seen, [true, false]);
		assert.deepEqual(world.take(), ["GET /session", "GET /session"]);
	});

	it("does not stay refreshing when the POST that it waited for is refused", async () => {
		const world = new World();
		const auth = await world.tab().signedIn();
		const login = auth.login({ username: "ada", password: "wrong" });
		auth.refresh();
		await assert.rejects(login);
		assert.equal(auth.getSnapshot().isRefreshing, false);
	});
});

describe("3. coming back to the page", () => {
	const events = {
		"visibilitychange to visible": (tab) => tab.show(),
		online: (tab) => tab.online(),
		"pageshow from the back/forward cache": (tab) => tab.fire("pageshow", { persisted: true }),
	};
	for (const [name, happens] of Object.entries(events)) {
		it(`${name} asks if the last answer is more than 5 s old`, async () => {
			const world = signedInWorld();
			const tab = world.tab();
			await tab.signedIn();
			await world.pass(5000);
			happens(tab);
			await settled();
			assert.deepEqual(world.take(), []);
			await world.pass(1);
			happens(tab);
			happens(tab);
			await settled();
			assert.deepEqual(world.take(), ["GET /session"]);
		});
	}

	it("becoming hidden, or a pageshow of a new page, asks nothing", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		await tab.signedIn();
		await world.pass(10e3);
		tab.hide();
		tab.fire("pageshow", { persisted: false });
		await settled();
		assert.deepEqual(world.take(), []);
	});

	it("asks nothing on focus with refetchOnFocus: false", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		await tab.signedIn({ refetchOnFocus: false });
		await world.pass(10e3);
		tab.show();
		await settled();
		assert.deepEqual(world.take(), []);
	});

	it("shows nothing private after the back button with guardBfcache, until there is an answer", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn({ guardBfcache: true });
		const told = record(auth);
		world.who = null; // signed out on another page
		world.down = true;
		tab.fire("pageshow", { persisted: true });
		const { status, user, session } = auth.getSnapshot();
		assert.deepEqual({ status, user, session }, { status: "loading", user: null, session: null });
		await settled();
		assert.equal(auth.getSnapshot().status, "loading");
		world.down = false;
		await world.pass(1000);
		assert.equal(auth.getSnapshot().status, "unauthenticated");
		assert.deepEqual(told, ["error", "logout"]);
	});

	it("comes back as it was with guardBfcache when the session lives", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn({ guardBfcache: true });
		const told = record(auth);
		tab.fire("pageshow", { persisted: true });
		await settled();
		assert.deepEqual(auth.getSnapshot().user, ada);
		assert.deepEqual(told, []);
		assert.equal(tab.reloads, 0);
	});
});

describe("11. no notification without change", () => {
	it("tells nobody and keeps the snapshot when an answer is as before", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn();
		const before = auth.getSnapshot();
		let count = 0;
		auth.subscribe(() => count++);
		for (let i = 0; i < 3; i++) {
			await world.pass(10e3);
			tab.show();
			await settled();
		}
		assert.equal(world.take().length, 3);
		assert.equal(count, 0);
		assert.equal(auth.getSnapshot(), before);
	});

	it("tells once of a change, and keeps what did not change", async () => {
		const world = signedInWorld();
		const auth = await world.tab().signedIn();
		const before = auth.getSnapshot();
		let count = 0;
		auth.subscribe(() => count++);
		world.who.expires += 60e3;
		await world.pass(10e3);
		world.tabs[0].show();
		await settled();
		const after = auth.getSnapshot();
		assert.equal(count, 1);
		assert.notEqual(after, before);
		assert.notEqual(after.session, before.session);
		assert.equal(after.user, before.user);
	});

	it("tells once of an error that stays the same", async () => {
		const world = signedInWorld();
		const auth = await world.tab().signedIn();
		let count = 0;
		auth.subscribe(() => count++);
		world.down = true;
		world.tabs[0].online();
		await world.pass(6e3);
		world.tabs[0].online();
		await world.pass(60e3);
		assert.ok(world.take().length > 2);
		assert.equal(count, 1);
	});

	it("freezes the snapshot and all in it", async () => {
		const world = signedInWorld();
		const auth = await world.tab().signedIn();
		const snapshot = auth.getSnapshot();
		for (const value of [snapshot, snapshot.user, snapshot.session]) assert.ok(Object.isFrozen(value));
	});

	it("tells no more after unsubscribing, and survives a listener that throws", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn();
		let count = 0;
		const stop = auth.subscribe(() => count++);
		stop();
		auth.subscribe(() => {
			throw new Error("oops");
		});
		let heard = 0;
		auth.subscribe(() => heard++);
		await auth.logout();
		assert.equal(count, 0);
		assert.ok(heard > 0);
		assert.equal(tab.errors[0].message, "oops");
		assert.equal(auth.getSnapshot().status, "unauthenticated");
	});
});

describe("login and reauth", () => {
	it("signs in with one request and tells of it", async () => {
		const world = new World();
		const auth = await world.tab().signedIn();
		const told = record(auth);
		const snapshot = await auth.login({ username: "bob", password: "right", remember: true });
		assert.deepEqual(snapshot.user, bob);
		assert.equal(snapshot, auth.getSnapshot());
		const [{ path, body, init }] = world.requests;
		assert.deepEqual([path, body], ["/auth/login", { username: "bob", password: "right", remember: true }]);
		assert.equal(init.headers["Content-Type"], "application/json");
		assert.deepEqual(told, ["login"]);
	});

	it("rejects with the code, and keeps the state", async () => {
		const world = new World();
		const auth = await world.tab().signedIn();
		const before = auth.getSnapshot();
		await assert.rejects(auth.login({ username: "bob", password: "wrong" }), { code: "CREDENTIALS_INVALID", status: 401 });
		world.respond = () => refusal(429, "RATE_LIMITED", { "Retry-After": "30" });
		await assert.rejects(auth.login({ username: "bob", password: "wrong" }), {
			code: "RATE_LIMITED", status: 429, retryAfter: 30, message: "No: RATE_LIMITED",
		});
		assert.equal(auth.getSnapshot(), before);
	});

	it("rejects and sets the error when nothing is answered", async () => {
		const world = new World();
		const auth = await world.tab().signedIn();
		world.down = true;
		await assert.rejects(auth.login({ username: "bob", password: "right" }), { code: "NETWORK" });
		assert.equal(auth.getSnapshot().error.code, "NETWORK");
		assert.equal(auth.getSnapshot().status, "unauthenticated");
	});

	it("stays signed in when the password of reauth is wrong, and not when the session is gone", async () => {
		const world = signedInWorld();
		const auth = await world.tab().signedIn();
		await assert.rejects(auth.reauth({ password: "wrong" }), { code: "CREDENTIALS_INVALID" });
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.equal((await auth.reauth({ password: "right" })).isAuthenticated, true);
		world.respond = () => refusal(401, "SESSION_EXPIRED");
		await assert.rejects(auth.reauth({ password: "right" }), { code: "SESSION_EXPIRED" });
		assert.equal(auth.getSnapshot().status, "unauthenticated");
		assert.equal(auth.getSnapshot().reason, "SESSION_EXPIRED");
	});

	it("leaves nobody loading when it is refused during the first request", async () => {
		const world = new World();
		world.latency = 100;
		const auth = world.tab().createAuth();
		await world.pass(50);
		const login = assert.rejects(auth.login({ username: "bob", password: "wrong" }));
		await world.pass(200);
		await login;
		assert.equal(auth.getSnapshot().status, "unauthenticated");
		assert.deepEqual(world.take(), ["GET /session", "POST /login", "GET /session"]);
	});

	it("leaves a retry that comes due meanwhile for afterwards", async () => {
		const world = new World();
		world.down = true;
		const auth = world.tab().createAuth();
		await settled();
		world.down = false;
		world.latency = 2000;
		const login = assert.rejects(auth.login({ username: "bob", password: "wrong" }));
		await world.pass(5000);
		await login;
		assert.equal(auth.getSnapshot().status, "unauthenticated");
		assert.equal(auth.getSnapshot().error, null);
	});

	it("asks under another base", async () => {
		const world = new World();
		world.respond = () => answer(200, world.status());
		await world.tab().createAuth({ base: "/api/v1" }).refresh();
		assert.equal(world.requests[0].path, "/api/v1/session");
	});
});
