// What happens by itself as time passes. Behaviours 4, 5, 6, 10 and 12.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HOUR, World, ada, answer, record, refusal, settled } from "../testdata/rig.mjs";

const signedInWorld = () => {
	const world = new World();
	world.signIn(ada);
	return world;
};

describe("4. timers come from deadlines", () => {
	for (const [name, skew] of [["ahead", 600e3], ["behind", -600e3], ["right", 0]]) {
		it(`asks once at the end, by a server whose clock is ${name}`, async () => {
			const world = signedInWorld();
			world.skew = skew;
			world.signIn(ada);
			const auth = await world.tab().signedIn();
			const told = record(auth);
			assert.equal(auth.getSnapshot().remainingSeconds(), 24 * 3600);
			await world.pass(24 * HOUR - 1);
			assert.deepEqual(world.take(), ["GET /session"], "before the warning");
			assert.equal(auth.getSnapshot().isAuthenticated, true);
			await world.pass(1);
			assert.deepEqual(world.take(), ["GET /session"]);
			assert.equal(auth.getSnapshot().status, "unauthenticated");
			assert.equal(auth.getSnapshot().reason, "SESSION_EXPIRED");
			assert.equal(auth.getSnapshot().remainingSeconds(), 0);
			await world.pass(48 * HOUR);
			assert.deepEqual(world.take(), []);
			assert.deepEqual(told, ["expiring", "expired"]);
		});
	}

	it("is not decided by the clock of the page alone", async () => {
		const world = signedInWorld();
		const auth = await world.tab().signedIn();
		await world.pass(24 * HOUR - 10e3);
		world.down = true;
		await world.pass(HOUR);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.equal(auth.getSnapshot().error.code, "NETWORK");
		assert.ok(world.take().length < 300);
		world.signIn(ada); // it was extended elsewhere
		world.down = false;
		await world.pass(60e3);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.equal(auth.getSnapshot().error, null);
	});

	it("outlasts the 24.8 days that a timer can", async () => {
		const world = signedInWorld();
		world.maxAge = world.absolute;
		world.signIn(ada);
		const auth = await world.tab().signedIn();
		await world.pass(30 * 24 * HOUR - 1);
		assert.deepEqual(world.take(), []);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		await world.pass(1);
		assert.deepEqual(world.take(), ["GET /session"]);
		assert.equal(auth.getSnapshot().isAuthenticated, false);
		assert.ok(Math.max(...world.delays) <= 24 * HOUR);
	});

	it("follows a new deadline", async () => {
		const world = signedInWorld();
		const auth = await world.tab().signedIn();
		await world.pass(12 * HOUR);
		await auth.extend();
		world.take();
		await world.pass(24 * HOUR - 1);
		assert.deepEqual(world.take(), []);
		await world.pass(1);
		assert.deepEqual(world.take(), ["GET /session"]);
		assert.equal(auth.getSnapshot().isAuthenticated, false);
	});

	it("asks again no sooner than a second when the server says that it goes on", async () => {
		const world = signedInWorld();
		const body = world.status();
		const tab = world.tab();
		await tab.signedIn();
		world.respond = () => answer(200, { ...body, serverTime: new Date(world.now).toISOString() });
		await world.pass(24 * HOUR);
		await world.pass(10e3);
		const asked = world.take().length;
		assert.ok(asked > 1 && asked <= 12, `${asked}`);
	});

	it("is checked again when the computer wakes", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn();
		world.sleep(25 * HOUR);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		tab.show();
		await world.pass(2e3);
		assert.deepEqual(world.take(), ["GET /session"]);
		assert.equal(auth.getSnapshot().reason, "SESSION_EXPIRED");
	});

	it("is checked on waking even without refetchOnFocus", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn({ refetchOnFocus: false });
		world.sleep(25 * HOUR);
		tab.show();
		await world.pass(2e3);
		assert.equal(auth.getSnapshot().isAuthenticated, false);
	});

	it("counts down the remaining seconds in one snapshot", async () => {
		const world = signedInWorld();
		const auth = await world.tab().signedIn();
		const snapshot = auth.getSnapshot();
		await world.pass(1500);
		assert.equal(snapshot.remainingSeconds(), 24 * 3600 - 2);
		assert.equal(auth.getSnapshot(), snapshot);
	});
});

describe("5. the warning", () => {
	it("comes warnSeconds before the end, once, and offers to extend", async () => {
		const world = signedInWorld();
		const auth = await world.tab().signedIn({ warnSeconds: 60 });
		const told = [];
		auth.on("expiring", (e) => void told.push(e));
		await world.pass(24 * HOUR - 60e3 - 1);
		assert.equal(told.length, 0);
		await world.pass(1);
		assert.equal(told.length, 1);
		assert.equal(told[0].remainingSeconds, 60);
		world.tabs[0].hide();
		world.tabs[0].show();
		await settled();
		world.take();
		await world.pass(4e3);
		assert.equal(told.length, 1);
		assert.deepEqual(world.take(), []);

		await told[0].extend();
		assert.deepEqual(world.take(), ["POST /session/refresh"]);
		assert.equal(auth.getSnapshot().remainingSeconds(), 24 * 3600);
		await world.pass(24 * HOUR - 60e3);
		assert.equal(told.length, 2);
	});

	it("does not come when activity will extend the session", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn();
		const told = record(auth);
		await world.pass(HOUR);
		tab.type();
		await world.pass(23 * HOUR - 1);
		assert.deepEqual(told, []);
		assert.deepEqual(world.take(), ["GET /session", "POST /session/refresh"]);
	});

	it("waits for an extension that is due after the warning, and comes when that fails", async () => {
		const world = signedInWorld();
		world.threshold = 60e3; // less than the warning
		const tab = world.tab();
		const auth = await tab.signedIn();
		const told = record(auth);
		tab.type();
		await world.pass(24 * HOUR - 61e3);
		assert.deepEqual(told, []);
		world.down = true;
		await world.pass(2e3);
		assert.deepEqual(told.slice(0, 2), ["error", "expiring"]);
	});

	it("comes when the page is hidden before the extension", async () => {
		const world = signedInWorld();
		world.threshold = 60e3;
		const tab = world.tab();
		const auth = await tab.signedIn();
		const told = record(auth);
		tab.type();
		await world.pass(24 * HOUR - 120e3);
		assert.deepEqual(told, []);
		tab.hide();
		await settled();
		assert.deepEqual(told, ["expiring"]);
	});

	it("comes on a page that is opened after its time", async () => {
		const world = signedInWorld();
		world.maxAge = world.absolute;
		world.signIn(ada);
		await world.pass(world.absolute - 60e3);
		const auth = world.tab({ seed: world.status() }).createAuth();
		const told = record(auth);
		await world.pass(59e3);
		assert.deepEqual(told, ["expiring"]);
	});

	it("does not come when requests of the application have moved the end", async () => {
		const world = signedInWorld();
		const idle = 30 * 60e3;
		world.who.expires = world.now + idle;
		world.threshold = -HOUR; // no refresh soon
		const tab = world.tab();
		const auth = await tab.signedIn();
		const told = record(auth);
		world.respond = ({ path }) => {
			if (path.startsWith("/auth")) return;
			world.who.expires = world.now + idle;
			return answer(200, {});
		};
		for (let i = 0; i < 29; i++) {
			await world.pass(60e3);
			tab.type();
			await auth.fetch("/api/x", { method: "POST" });
		}
		assert.deepEqual(told, []);
		assert.deepEqual(world.take().filter((r) => r.startsWith("GET")), ["GET /session"], "it asks once");
	});

	it("comes when nothing can extend the session any more", async () => {
		const world = signedInWorld();
		world.maxAge = world.absolute; // so there is no refreshIn
		world.signIn(ada);
		const tab = world.tab();
		const auth = await tab.signedIn();
		const told = record(auth);
		tab.type();
		await world.pass(world.absolute - 300e3);
		assert.deepEqual(told, ["expiring"]);
	});
});

describe("6. extension by activity", () => {
	const due = async (setup) => {
		const world = signedInWorld();
		const tab = world.tab(setup);
		const auth = await tab.signedIn();
		await world.pass(23.6 * HOUR);
		return { world, tab, auth };
	};

	for (const input of ["keydown", "pointerdown"]) {
		it(`happens when it is due, the page is visible and there was input: ${input}`, async () => {
			const { world, tab, auth } = await due();
			assert.deepEqual(world.take(), []);
			tab.fire(input);
			await settled();
			assert.deepEqual(world.take(), ["GET /session", "POST /session/refresh"]);
			assert.equal(auth.getSnapshot().remainingSeconds(), 24 * 3600);
			assert.deepEqual(world.lockNames, ["ginsession:refresh"]);
			assert.equal(auth.getSnapshot().isRefreshing, false);
		});
	}

	it("does not happen before it is due", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		await tab.signedIn();
		for (let i = 0; i < 23; i++) {
			tab.type();
			tab.fire("pointerdown");
			await world.pass(HOUR);
		}
		assert.deepEqual(world.take(), []);
		await world.pass(HOUR / 2);
		assert.deepEqual(world.take(), ["GET /session", "POST /session/refresh"]);
	});

	it("does not happen without input", async () => {
		const { world } = await due();
		await world.pass(0.3 * HOUR);
		assert.deepEqual(world.take(), []);
	});

	it("does not happen in a hidden page, and does when it is seen again", async () => {
		const { world, tab } = await due();
		tab.hide();
		tab.type();
		await world.pass(60e3);
		assert.deepEqual(world.take(), []);
		tab.show();
		await settled();
		assert.deepEqual(world.take().filter((request) => request.startsWith("POST")), ["POST /session/refresh"]);
	});

	it("needs new input for the next time", async () => {
		const { world, tab } = await due();
		tab.type();
		await settled();
		world.take();
		await world.pass(24 * HOUR - 1);
		assert.deepEqual(world.take(), []);
	});

	it("happens once, whatever is typed meanwhile", async () => {
		const { world, tab } = await due();
		world.latency = 1000;
		for (let i = 0; i < 20; i++) {
			tab.type();
			await world.pass(100);
		}
		await world.pass(5000);
		assert.deepEqual(world.take(), ["GET /session", "POST /session/refresh"]);
	});

	for (const [name, setup] of [["under a lock", {}], ["without locks", { locks: false }]]) {
		it(`happens in one of two tabs, ${name}`, async () => {
			const world = signedInWorld();
			const tabs = [world.tab(setup), world.tab(setup)];
			for (const tab of tabs) await tab.signedIn();
			await world.pass(23.6 * HOUR);
			world.latency = 20;
			tabs[0].type();
			world.random = 0.9;
			tabs[1].type();
			await world.pass(5000);
			assert.equal(world.take().filter((request) => request.startsWith("POST")).length, 1);
			assert.equal(world.lockNames.length, name === "under a lock" ? 2 : 0);
		});
	}

	it("waits a random half second at most without locks", async () => {
		const { world, tab } = await due({ locks: false });
		world.random = 1;
		tab.type();
		await world.pass(499);
		assert.deepEqual(world.take(), []);
		await world.pass(1);
		assert.deepEqual(world.take(), ["GET /session", "POST /session/refresh"]);
	});

	it("gives the lock back when it fails, and tries again later", async () => {
		const { world, tab, auth } = await due();
		world.down = true;
		tab.type();
		await settled();
		assert.equal(world.lockHeld, false);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		world.down = false;
		await world.pass(5000);
		assert.equal(auth.getSnapshot().remainingSeconds() > 23 * 3600, true);
	});
});

describe("6. input is used up by one extension", () => {
	it("of another tab", async () => {
		const world = signedInWorld();
		const tabs = [world.tab(), world.tab()];
		for (const tab of tabs) await tab.signedIn();
		await world.pass(HOUR);
		for (const tab of tabs) tab.type(); // the last that anybody does
		await world.pass(100 * HOUR);
		assert.equal(world.take().filter((r) => r.startsWith("POST")).length, 1);
	});

	it("of the application's own requests", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn();
		tab.type();
		await world.pass(23.4 * HOUR);
		world.who.expires = world.now + 24 * HOUR;
		await auth.refresh();
		await world.pass(23.9 * HOUR);
		assert.equal(world.take().filter((r) => r.startsWith("POST")).length, 0);
	});
});

describe("10. errors", () => {
	const times = (world) => world.requests.splice(0).map(({ at }) => Math.round((at - world.began) / 100) / 10);

	it("are asked again after 1, 2, 4 … 30 seconds", async () => {
		const world = signedInWorld();
		world.random = 1;
		world.down = true;
		world.began = world.now;
		world.tab().createAuth();
		await world.pass(125e3);
		assert.deepEqual(times(world), [0, 1, 3, 7, 15, 31, 61, 91, 121]);
	});

	it("are asked again with jitter, and from 1 second anew after an answer", async () => {
		const world = signedInWorld();
		world.random = 0;
		world.down = true;
		world.began = world.now;
		const tab = world.tab();
		tab.createAuth();
		await world.pass(4e3);
		assert.deepEqual(times(world), [0, 0.5, 1.5, 3.5]);
		world.down = false;
		await world.pass(60e3);
		world.take();
		world.down = true;
		world.began = world.now;
		tab.show();
		await world.pass(1e3);
		assert.deepEqual(times(world), [0, 0.5]);
	});

	it("are not asked again once there is an answer", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn();
		world.down = true;
		await auth.refresh();
		world.down = false;
		await auth.refresh();
		world.take();
		await world.pass(60e3);
		assert.deepEqual(world.take(), []);
	});

	it("are not asked again while offline, and at once when online", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn();
		world.down = true;
		await world.pass(6e3);
		tab.show();
		await settled();
		assert.deepEqual(world.take(), ["GET /session"]);
		tab.offline();
		await world.pass(600e3);
		assert.deepEqual(world.take(), []);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		world.down = false;
		tab.online();
		await settled();
		assert.deepEqual(world.take(), ["GET /session"]);
		assert.equal(auth.getSnapshot().error, null);
	});

	for (const [status, code] of [[429, "RATE_LIMITED"], [503, "STORE_UNAVAILABLE"]]) {
		it(`${status} keeps the state and waits as long as Retry-After says, whatever is focused`, async () => {
			const world = signedInWorld();
			const tab = world.tab();
			const auth = await tab.signedIn();
			world.respond = () => refusal(status, code, { "Retry-After": "120" });
			await world.pass(10e3);
			tab.show();
			await settled();
			world.take();
			assert.equal(auth.getSnapshot().isAuthenticated, true);
			assert.equal(auth.getSnapshot().error.code, code);
			assert.equal(auth.getSnapshot().error.retryAfter, 120);
			world.respond = null;
			for (let i = 0; i < 11; i++) {
				await world.pass(10e3);
				tab.show();
				tab.online();
				world.tab().channels[0].postMessage({ v: 1, type: "changed", rev: "other", from: "x" });
			}
			await settled();
			assert.deepEqual(world.take(), []);
			await world.pass(10e3);
			assert.deepEqual(world.take(), ["GET /session"]);
			assert.equal(auth.getSnapshot().error, null);
		});
	}

	it("make nobody wait once there is an answer", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		const auth = await tab.signedIn();
		world.respond = () => refusal(429, "RATE_LIMITED", { "Retry-After": "120" });
		await auth.refresh();
		world.respond = null;
		await auth.refresh(); // the user insists
		world.take();
		await world.pass(10e3);
		tab.show();
		await settled();
		assert.deepEqual(world.take(), ["GET /session"]);
	});

	it("of any kind sign nobody out", async () => {
		for (const response of [
			() => refusal(500, "INTERNAL"),
			() => refusal(404, "NOT_FOUND"),
			() => refusal(401, "UNAUTHORIZED"),
			() => refusal(403, "CROSS_ORIGIN"),
			() => new Response("<html>a captive portal</html>"),
			() => new Response(""),
			() => answer(200, {}),
			() => answer(200, null),
			() => new Response(null, { status: 204 }),
		]) {
			const world = signedInWorld();
			const tab = world.tab();
			const auth = await tab.signedIn();
			world.respond = response;
			await auth.refresh();
			assert.equal(auth.getSnapshot().isAuthenticated, true);
			assert.ok(auth.getSnapshot().error.code);
		}
	});
});

describe("12. polling", () => {
	it("leaves the asking to the backoff while nobody answers", async () => {
		const world = signedInWorld();
		await world.tab().signedIn({ pollSeconds: 2 });
		world.down = true;
		world.random = 1;
		await world.pass(60e3);
		world.take();
		await world.pass(60e3);
		assert.ok(world.take().length <= 3);
	});

	it("is silent offline", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		await tab.signedIn({ pollSeconds: 10 });
		tab.offline();
		await world.pass(20e3);
		world.take();
		await world.pass(60e3);
		assert.deepEqual(world.take(), []);
	});

	it("is off by default", async () => {
		const world = signedInWorld();
		await world.tab().signedIn();
		await world.pass(20 * HOUR);
		assert.deepEqual(world.take(), []);
	});

	it("asks once an interval, passively, while the page is visible", async () => {
		const world = signedInWorld();
		const tab = world.tab();
		await tab.signedIn({ pollSeconds: 60 });
		await world.pass(180e3);
		assert.deepEqual(world.take(), ["GET /session", "GET /session", "GET /session"]);
		tab.hide();
		await world.pass(600e3);
		assert.deepEqual(world.take(), []);
		tab.show();
		await settled();
		world.take();
		await world.pass(120e3);
		assert.equal(world.take().length, 2);
	});

	it("asks once for all tabs", async () => {
		const world = signedInWorld();
		for (let i = 0; i < 4; i++) {
			await world.tab().signedIn({ pollSeconds: 60 });
			await world.pass(7e3);
		}
		world.take();
		await world.pass(600e3);
		const asked = world.take().length;
		assert.ok(asked >= 9 && asked <= 11, `${asked}`);
	});

	it("goes on when storage is forbidden", async () => {
		const world = signedInWorld();
		await world.tab({ storage: false }).signedIn({ pollSeconds: 60 });
		await world.pass(180e3);
		assert.equal(world.take().length, 3);
	});
});
