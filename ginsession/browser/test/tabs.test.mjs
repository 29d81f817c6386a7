// Several tabs, signing out, and other users. Behaviours 7, 8 and 9.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { World, ada, answer, bob, gate, record, refusal, settled } from "../testdata/rig.mjs";

/** A world where somebody is signed in, with tabs that know it. */
const tabsOf = async (count, setup, options) => {
	const world = new World();
	world.signIn(ada);
	const tabs = [];
	const auths = [];
	for (let i = 0; i < count; i++) {
		tabs.push(world.tab(setup));
		auths.push(await tabs[i].signedIn(options));
	}
	return { world, tabs, auths };
};

const ways = [["a channel", {}], ["storage events", { channel: false }], ["a channel without storage", { storage: false }]];

describe("7. between tabs", () => {
	it("one channel serves a page", async () => {
		const { tabs } = await tabsOf(1);
		tabs[0].createAuth();
		tabs[0].createAuth();
		assert.equal(tabs[0].channels.length, 1);
		assert.equal(tabs[0].channels[0].name, "ginsession");
	});

	it("messages have a version, a type, a mark and an application, and nothing of the user", async () => {
		const { world, auths } = await tabsOf(2);
		await auths[0].extend();
		await world.pass(10e3);
		await auths[0].extend();
		await auths[0].logout();
		assert.equal(world.messages.length, 2);
		for (const [i, type] of ["changed", "logout"].entries()) {
			const { v, rev, from, ...rest } = world.messages[i];
			assert.deepEqual(rest, { type });
			assert.equal(v, 1);
			assert.match(rev, /^[-a-z0-9]+$/);
			assert.equal(from, "/auth");
		}
		const shared = JSON.stringify([world.messages, ...world.store]);
		for (const secret of ["ada", "admin", "session-1", "example.com", "192.0.2.1"]) assert.ok(!shared.includes(secret), secret);
	});

	for (const [name, setup] of ways) {
		it(`a sign-in is followed within 0.3 s, over ${name}`, async () => {
			const world = new World();
			const [a, b] = [world.tab(setup), world.tab(setup)];
			const auths = [await a.signedIn(), await b.signedIn()];
			const told = record(auths[1]);
			world.random = 0.999;
			await auths[0].login({ username: "ada", password: "right" });
			await world.pass(299);
			assert.deepEqual(world.take(), ["POST /login"]);
			await world.pass(1);
			assert.deepEqual(world.take(), ["GET /session"]);
			assert.deepEqual(auths[1].getSnapshot().user, ada);
			assert.deepEqual(told, ["login"]);
		});

		it(`a logout is followed at once and then confirmed, over ${name}`, async () => {
			const { world, auths } = await tabsOf(2, setup);
			const told = record(auths[1]);
			await auths[0].logout();
			await settled();
			assert.deepEqual(world.take(), ["POST /logout"]);
			assert.equal(auths[1].getSnapshot().status, "unauthenticated");
			assert.deepEqual(told, ["logout"]);
			await world.pass(300);
			assert.deepEqual(world.take(), ["GET /session"]);
			assert.deepEqual(told, ["logout"]);
		});

		it(`what a message made a tab ask is told to no other, over ${name}`, async () => {
			const { world, auths } = await tabsOf(4, setup);
			const said = () => world.messages.length + (world.store.has("ginsession:say") ? 1 : 0);
			world.who.user = { ...ada, role: "editor" };
			await auths[0].refresh();
			await world.pass(60e3);
			assert.equal(said(), 1);
			assert.equal(world.take().length, 4);
			for (const auth of auths) assert.equal(auth.getSnapshot().user.role, "editor");
		});
	}

	it("a logout that the server does not confirm is taken back", async () => {
		const { world, auths } = await tabsOf(2);
		await auths[0].logout();
		world.signIn(ada); // again, before the other tab asks
		await world.pass(300);
		assert.equal(auths[1].getSnapshot().isAuthenticated, true);
	});

	it("a logout does not undo a sign-in that is under way", async () => {
		const { world, auths } = await tabsOf(2);
		await auths[0].logout();
		await world.pass(1000);
		world.latency = 50;
		const login = auths[1].login({ username: "ada", password: "right" });
		await world.pass(10);
		world.tabs[0].channels[0].postMessage({ v: 1, type: "logout", rev: "other", from: "x" });
		await world.pass(40);
		assert.equal((await login).isAuthenticated, true);
		await world.pass(1000);
		assert.equal(auths[1].getSnapshot().isAuthenticated, true);
	});

	it("an answer that was on its way when the logout came is dropped", async () => {
		const { world, auths } = await tabsOf(2);
		world.latency = 100;
		auths[1].refresh();
		await settled();
		world.latency = 0;
		world.random = 0.9;
		await auths[0].logout();
		await settled();
		assert.equal(auths[1].getSnapshot().isAuthenticated, false);
		await world.pass(150);
		assert.equal(auths[1].getSnapshot().isAuthenticated, false);
	});

	it("an answer that was on its way when a change was told is superseded", async () => {
		const { world, auths } = await tabsOf(2);
		world.latency = 1000;
		auths[1].refresh();
		await settled();
		world.latency = 0;
		world.who.user = { ...ada, role: "editor" };
		await auths[0].refresh();
		await world.pass(2000);
		assert.equal(auths[1].getSnapshot().user.role, "editor");
	});

	it("nothing is said when nothing changed", async () => {
		const { world, tabs, auths } = await tabsOf(2);
		for (let i = 0; i < 3; i++) {
			await world.pass(10e3);
			tabs[0].show();
			await auths[0].refresh({ force: true });
			await auths[0].reauth({ password: "right" });
		}
		assert.deepEqual(world.messages, []);
		await auths[0].login({ username: "ada", password: "right" });
		assert.equal(world.messages.length, 1); // another session
	});

	it("a page that a form's sign-in led to tells the others", async () => {
		const world = new World();
		const auth = await world.tab().signedIn();
		world.signIn(ada);
		world.tab({ seed: world.status() }).createAuth();
		await world.pass(300);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.deepEqual(world.take(), ["GET /session"]);
		assert.equal(world.messages.length, 1);
	});

	it("a page that finds all as the others know it says nothing", async () => {
		const { world } = await tabsOf(1);
		world.tab({ seed: world.status() }).createAuth();
		await world.tab().createAuth().refresh();
		assert.deepEqual(world.messages, []);
	});

	it("the first page ever says nothing, with storage and without", async () => {
		for (const storage of [true, false]) {
			const world = new World();
			world.signIn(ada);
			const tab = world.tab({ storage });
			await tab.createAuth().refresh();
			assert.deepEqual(world.messages, []);
		}
	});

	it("other messages are ignored", async () => {
		const { world, tabs, auths } = await tabsOf(2);
		const known = world.store.get("ginsession:rev");
		for (const message of [null, "logout", { v: 1, type: "logout", rev: known }, { v: 1, type: "changed", rev: known }, { v: 2, type: "logout", rev: "x" }, { type: "logout", rev: "x" }]) {
			tabs[0].channels[0].postMessage(message);
		}
		tabs[1].fire("storage", { key: "theme", newValue: "dark" });
		await world.pass(1000);
		assert.deepEqual(world.take(), []);
		assert.equal(auths[1].getSnapshot().isAuthenticated, true);
	});

	it("tabs go on alone where channel and storage are forbidden", async () => {
		const { world, auths } = await tabsOf(2, { channel: false, storage: false });
		await auths[0].logout();
		assert.equal(auths[0].getSnapshot().status, "unauthenticated");
		assert.equal(auths[1].getSnapshot().status, "authenticated");
		await world.pass(6e3);
		world.tabs[1].show();
		await settled();
		assert.equal(auths[1].getSnapshot().status, "unauthenticated");
	});
});

describe("7. between tabs of two applications on one origin", () => {
	/** Two tabs of /a and one of /b, and who is signed in to each. */
	const twoApplications = async () => {
		const world = new World();
		const signedIn = { "/a": (world.signIn(ada), world.who), "/b": (world.signIn(bob), world.who) };
		const as = (path) => {
			world.who = signedIn[path.slice(0, 2)];
			const body = world.status();
			world.who = null;
			return body;
		};
		world.respond = ({ path }) => {
			if (path.endsWith("/logout")) signedIn[path.slice(0, 2)] = null;
			return answer(200, as(path));
		};
		const auths = [];
		for (const base of ["/a", "/a", "/b"]) {
			const auth = world.tab({ seed: as(base) }).createAuth({ base });
			auths.push(auth);
		}
		await world.pass(1000);
		return { world, auths };
	};

	it("each hears of its own alone", async () => {
		const { world, auths: [one, two, other] } = await twoApplications();
		const told = record(other);
		await one.logout();
		await world.pass(1000);
		assert.equal(two.getSnapshot().status, "unauthenticated");
		assert.deepEqual(told, []);
		assert.equal(other.getSnapshot().user.username, bob.username);
	});
});

describe("8. logout", () => {
	it("that is heard while an extension is under way is not undone by its answer", async () => {
		const { world, tabs, auths: [a, b] } = await tabsOf(2);
		const told = record(b);
		const { promise, open } = gate();
		const before = answer(200, world.status());
		world.respond = (r) => r.tab === tabs[1] && r.method === "POST" && promise.then(() => before);
		const extended = b.extend();
		await settled();
		await a.logout();
		await settled();
		open();
		await extended;
		await world.pass(1000);
		assert.deepEqual(told, ["logout"]);
		assert.equal(b.getSnapshot().status, "unauthenticated");
	});

	it("shows at once that it is under way, and ends with the answer", async () => {
		const { world, auths: [auth] } = await tabsOf(1);
		const told = record(auth);
		world.latency = 100;
		const done = auth.logout();
		assert.equal(auth.getSnapshot().isLoggingOut, true);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		await world.pass(100);
		const { status, user, session, isLoggingOut, reason } = await done;
		assert.deepEqual({ status, user, session, isLoggingOut, reason }, {
			status: "unauthenticated", user: null, session: null, isLoggingOut: false, reason: null,
		});
		assert.deepEqual(told, ["logout"]);
		assert.equal(world.messages[0].type, "logout");
	});

	it("is one request, however often it is called", async () => {
		const { world, auths: [auth] } = await tabsOf(1);
		world.latency = 100;
		const all = [auth.logout(), auth.logout(), auth.logout()];
		await world.pass(100);
		for (const done of all) assert.equal((await done).status, "unauthenticated");
		assert.deepEqual(world.take(), ["POST /logout"]);
	});

	it("is done when the answer is that there is no session", async () => {
		const { world, auths: [auth] } = await tabsOf(1);
		world.respond = () => refusal(401, "SESSION_NOT_FOUND");
		await auth.logout();
		assert.equal(auth.getSnapshot().status, "unauthenticated");
		assert.equal(world.messages[0].type, "logout");
	});

	it("keeps the session when nothing is answered, and says so", async () => {
		const { world, tabs: [tab, other], auths: [auth] } = await tabsOf(2);
		tab.offline();
		const told = record(auth);
		const snapshot = await auth.logout();
		assert.equal(snapshot.isAuthenticated, true);
		assert.equal(snapshot.isLoggingOut, false);
		assert.equal(snapshot.error.code, "NETWORK");
		assert.deepEqual(told, ["error"]);
		assert.deepEqual(world.messages, []);
		assert.equal(other.reloads, 0);
		tab.online();
		await settled();
		assert.equal(auth.getSnapshot().error, null);
		assert.equal((await auth.logout()).status, "unauthenticated");
	});

	it("keeps the session when it is refused", async () => {
		for (const [status, code] of [[403, "CROSS_ORIGIN"], [429, "RATE_LIMITED"], [500, "INTERNAL"]]) {
			const { world, auths: [auth] } = await tabsOf(1);
			world.respond = () => refusal(status, code);
			await auth.logout();
			assert.equal(auth.getSnapshot().isAuthenticated, true);
			assert.equal(auth.getSnapshot().isLoggingOut, false);
			assert.equal(auth.getSnapshot().error.code, code);
		}
	});

	it("that the database does not hear ends when the server is asked again", async () => {
		const { world, auths: [auth] } = await tabsOf(1);
		world.respond = ({ method }) => {
			if (method !== "POST") return null;
			world.who = null; // the cookie is gone
			return refusal(503, "STORE_UNAVAILABLE", { "Retry-After": "5" });
		};
		await auth.logout();
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.equal(auth.getSnapshot().error.code, "STORE_UNAVAILABLE");
		await world.pass(5e3);
		assert.equal(auth.getSnapshot().status, "unauthenticated");
	});
});

describe("9. another user", () => {
	it("makes the page load anew", async () => {
		const { tabs: [tab], auths: [auth] } = await tabsOf(1);
		await auth.login({ username: "bob", password: "right" });
		assert.equal(tab.reloads, 1);
	});

	it("does so in the other tabs too", async () => {
		const { world, tabs, auths } = await tabsOf(2);
		await auths[0].login({ username: "bob", password: "right" });
		await world.pass(300);
		assert.equal(tabs[1].reloads, 1);
	});

	it("does so when the former had signed out before", async () => {
		const { tabs: [tab], auths: [auth] } = await tabsOf(1);
		await auth.logout();
		assert.equal(tab.reloads, 0);
		await auth.login({ username: "bob", password: "right" });
		assert.equal(tab.reloads, 1);
	});

	it("is told before the snapshot changes, with both users", async () => {
		const { tabs: [tab], auths: [auth] } = await tabsOf(1);
		const order = [];
		auth.on("userchange", (e) => void order.push(e, auth.getSnapshot().user));
		auth.subscribe(() => order.push(auth.getSnapshot().user));
		await auth.login({ username: "bob", password: "right" });
		assert.deepEqual(order, [{ previous: ada, user: bob }, ada, bob]);
		assert.equal(tab.reloads, 1);
	});

	it("does not load the page anew when a listener returns false", async () => {
		const { tabs: [tab], auths: [auth] } = await tabsOf(1);
		auth.on("userchange", () => false);
		auth.on("userchange", () => {});
		await auth.login({ username: "bob", password: "right" });
		assert.equal(tab.reloads, 0);
		assert.deepEqual(auth.getSnapshot().user, bob);
	});

	it("is not the same user again, nor another role, nor a first sign-in", async () => {
		const { world, tabs: [tab], auths: [auth] } = await tabsOf(1);
		const told = record(auth);
		await auth.logout();
		await auth.login({ username: "ada", password: "right" });
		world.who.user = { ...ada, role: "viewer" };
		await auth.refresh();
		assert.equal(auth.getSnapshot().user.role, "viewer");
		assert.deepEqual(told, ["logout", "login"]);
		assert.equal(tab.reloads, 0);

		const empty = new World();
		const fresh = empty.tab();
		await (await fresh.signedIn()).login({ username: "bob", password: "right" });
		assert.equal(fresh.reloads, 0);
	});

	it("is seen behind guardBfcache", async () => {
		const { world, tabs: [tab] } = await tabsOf(1, {}, { guardBfcache: true });
		world.signIn(bob);
		tab.fire("pageshow", { persisted: true });
		await settled();
		assert.equal(tab.reloads, 1);
	});
});

describe("events", () => {
	it("tell why a session is over", async () => {
		for (const [reason, event] of [["SESSION_EXPIRED", "expired"], ["SESSION_NOT_FOUND", "logout"], ["SESSION_INVALID", "logout"]]) {
			const { world, auths: [auth] } = await tabsOf(1);
			const told = record(auth);
			world.respond = () => answer(200, world.nobody(reason));
			world.who = null;
			await auth.refresh();
			await auth.refresh();
			assert.deepEqual(told, [event]);
			assert.equal(auth.getSnapshot().reason, reason);
		}
	});

	it("end with the function that on returned, and do not tell of the first state", async () => {
		const world = new World();
		world.signIn(ada);
		const auth = world.tab().createAuth();
		const told = record(auth);
		const stop = auth.on("logout", () => void told.push("again"));
		await settled();
		stop();
		await auth.logout();
		assert.deepEqual(told, ["logout"]);
	});
});
