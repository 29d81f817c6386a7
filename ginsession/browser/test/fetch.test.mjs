// auth.fetch: what the answers of the application say about the session.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { World, ada, answer, gate, record, refusal, settled } from "../testdata/rig.mjs";

const ready = async (options) => {
	const world = new World();
	world.signIn(ada);
	const tab = world.tab();
	const auth = await tab.signedIn(options);
	const told = record(auth);
	return { world, tab, auth, told };
};
/** Answers what the application is asked, and leaves /auth to the server. */
const app = (world, respond) => (world.respond = (request) => !request.path.startsWith("/auth") && respond(request));

describe("auth.fetch", () => {
	it("abort with a reason of one's own is no error of the network", async () => {
		const { tab, auth } = await ready();
		tab.fetch = (_, { signal }) => new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason)));
		for (const reason of ["unmounted", null, new Error("left")]) {
			const controller = new AbortController();
			const sent = auth.fetch("/api", { signal: controller.signal });
			controller.abort(reason);
			await assert.rejects(sent.catch((e) => { throw new Error("rejected", { cause: e }); }));
			assert.equal(auth.getSnapshot().error, null);
		}
	});

	it("is fetch: what is sent and what comes back stay as they are", async () => {
		const { world, auth } = await ready();
		app(world, () => answer(201, { ok: true }));
		const init = { method: "POST", body: '{"a":1}', headers: { "X-A": "b" } };
		const response = await auth.fetch("/api/notes", init);
		assert.equal(response.status, 201);
		assert.deepEqual(await response.json(), { ok: true });
		assert.equal(world.requests[0].init, init);
		assert.equal(world.requests.length, 1);
	});

	for (const code of ["SESSION_EXPIRED", "SESSION_INVALID", "SESSION_NOT_FOUND", "JWT_INVALID"]) {
		it(`401 ${code} signs out once and keeps the reason`, async () => {
			const { world, auth, told } = await ready();
			app(world, () => refusal(401, code));
			const responses = await Promise.all([auth.fetch("/api/a"), auth.fetch("/api/b")]);
			assert.deepEqual(await responses[0].json().then((body) => body.error.code), code);
			assert.equal(auth.getSnapshot().status, "unauthenticated");
			assert.equal(auth.getSnapshot().reason, code);
			assert.equal(told.length, 1);
			assert.equal(world.messages.length, 1);
			assert.deepEqual(world.take(), ["GET /api/a", "GET /api/b"]);
		});
	}

	it("401 with a code of the application's own is no logout", async () => {
		const { world, auth, told } = await ready();
		const before = auth.getSnapshot();
		for (const respond of [
			() => refusal(401, "CREDENTIALS_INVALID"),
			() => refusal(401, "SESSION_TOKEN_OF_THE_BANK_EXPIRED"),
			() => answer(401, { error: "unauthorized" }),
			() => answer(401, null),
			() => new Response("no", { status: 401 }),
			() => new Response(null, { status: 401 }),
			() => refusal(403, "SESSION_EXPIRED"),
			() => refusal(403, "ROLE_REQUIRED"),
			() => refusal(403, "IMPERSONATION_FORBIDDEN"),
			() => refusal(429, "RATE_LIMITED", { "Retry-After": "9" }),
			() => refusal(500, "INTERNAL"),
			() => new Response("busy", { status: 503 }),
		]) {
			app(world, respond);
			await auth.fetch("/api/a");
		}
		await settled();
		assert.equal(auth.getSnapshot(), before);
		assert.deepEqual(told, []);
		assert.equal(world.take().length, 12);
	});

	it("401 that was asked before a sign-in is confirmed, and not believed", async () => {
		const world = new World();
		const auth = await world.tab().signedIn();
		const { promise, open } = gate();
		app(world, () => promise.then(() => refusal(401, "SESSION_NOT_FOUND")));
		const asked = auth.fetch("/api/a");
		await auth.login({ username: "ada", password: "right" });
		open();
		assert.equal((await asked).status, 401);
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		await settled();
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.deepEqual(world.take(), ["GET /api/a", "POST /login", "GET /session"]);
	});

	it("401 of another origin is confirmed, and not believed", async () => {
		const { world, auth } = await ready();
		app(world, () => Object.defineProperty(refusal(401, "SESSION_EXPIRED"), "type", { value: "cors" }));
		await auth.fetch("https://other.example/");
		await settled();
		assert.equal(auth.getSnapshot().isAuthenticated, true);
		assert.equal(world.take()[1], "GET /session");
	});

	it("401 changes nothing for those who are not signed in", async () => {
		const world = new World();
		const auth = await world.tab().signedIn();
		const before = auth.getSnapshot();
		app(world, () => refusal(401, "SESSION_NOT_FOUND"));
		await auth.fetch("/api/a");
		assert.equal(auth.getSnapshot(), before);
	});

	it("503 of the store and no answer at all keep the state, set the error and ask again", async () => {
		for (const failing of [() => refusal(503, "STORE_UNAVAILABLE", { "Retry-After": "2" }), () => Promise.reject(new TypeError("x"))]) {
			const { world, auth } = await ready();
			app(world, failing);
			await auth.fetch("/api/a").catch((e) => assert.equal(e.message, "x"));
			assert.equal(auth.getSnapshot().isAuthenticated, true);
			assert.ok(["STORE_UNAVAILABLE", "NETWORK"].includes(auth.getSnapshot().error.code));
			await world.pass(2e3);
			assert.equal(auth.getSnapshot().error, null);
		}
	});

	it("a request that the application aborts is no error of the session", async () => {
		const { auth } = await ready();
		const controller = new AbortController();
		const asked = auth.fetch("/api/a", { signal: controller.signal });
		controller.abort();
		await assert.rejects(asked, { name: "AbortError" });
		assert.equal(auth.getSnapshot().error, null);
	});
});

describe("auth.fetch: REAUTH_REQUIRED", () => {
	const secret = (world) => {
		let proved = false;
		world.respond = (request) => {
			if (request.path.startsWith("/auth")) {
				proved ||= request.path.endsWith("reauthenticate") && request.body.password === "right";
				return null;
			}
			return proved ? answer(200, { secret: request.init.body ?? "yes" }) : refusal(403, "REAUTH_REQUIRED");
		};
	};

	it("asks for the password and sends the request once more", async () => {
		const { world, auth } = await ready({ onReauth: (e) => (seen.push(e.code), auth.reauth({ password: "right" })) });
		const seen = [];
		secret(world);
		const response = await auth.fetch("/api/a", { method: "POST", body: "7" });
		assert.equal(response.status, 200);
		assert.deepEqual(await response.json(), { secret: "7" });
		assert.deepEqual(seen, ["REAUTH_REQUIRED"]);
		assert.deepEqual(world.take(), ["POST /api/a", "POST /session/reauthenticate", "POST /api/a"]);
	});

	it("sends it no more than once more", async () => {
		const { world, auth } = await ready({ onReauth: () => true });
		app(world, () => refusal(403, "REAUTH_REQUIRED"));
		const response = await auth.fetch("/api/a");
		assert.equal(response.status, 403);
		assert.equal((await response.json()).error.code, "REAUTH_REQUIRED");
		assert.deepEqual(world.take(), ["GET /api/a", "GET /api/a"]);
	});

	it("asks once for many requests", async () => {
		let asked = 0;
		const { world, auth } = await ready({ onReauth: () => (asked++, auth.reauth({ password: "right" })) });
		secret(world);
		const responses = await Promise.all(["/api/a", "/api/b", "/api/c"].map((path) => auth.fetch(path)));
		assert.deepEqual(responses.map((r) => r.status), [200, 200, 200]);
		assert.equal(asked, 1);
	});

	it("gives back the refusal when nobody proves anything", async () => {
		for (const onReauth of [undefined, () => false, () => Promise.resolve(false), () => { throw new Error("closed"); }, () => Promise.reject(new Error("closed"))]) {
			const { world, auth } = await ready({ onReauth });
			app(world, () => refusal(403, "REAUTH_REQUIRED"));
			assert.equal((await auth.fetch("/api/a")).status, 403);
			assert.deepEqual(world.take(), ["GET /api/a"]);
			assert.equal(auth.getSnapshot().isAuthenticated, true);
		}
	});

	it("asks whoever listened last", async () => {
		const { world, auth } = await ready({ onReauth: () => assert.fail() });
		const stop = auth.on("reauth", () => auth.reauth({ password: "right" }));
		secret(world);
		assert.equal((await auth.fetch("/api/a")).status, 200);
		stop();
	});

	it("sends a Request object once more too, with its body", async () => {
		const { world, tab, auth } = await ready({ onReauth: () => auth.reauth({ password: "right" }) });
		const bodies = [];
		const fetch = tab.fetch.bind(tab);
		tab.fetch = async (input, init) => {
			if (input instanceof Request) bodies.push(await input.text());
			return fetch(input.url ? { url: new URL(input.url).pathname, method: input.method } : input, init);
		};
		secret(world);
		const response = await auth.fetch(new Request("https://app.example/api/a", { method: "POST", body: "12" }));
		assert.equal(response.status, 200);
		assert.deepEqual(bodies, ["12", "12"]);
	});
});
