// A browser and a server to test auth.js in: tabs that share storage, channels
// and locks, a clock that only the test moves, and a server that keeps count.

import { readFileSync } from "node:fs";
import vm from "node:vm";

const source = readFileSync(new URL("../auth.js", import.meta.url), "utf8");
export const start = Date.parse("2026-08-25T10:00:00.000Z");
export const HOUR = 3600e3;
const iso = (at) => new Date(at).toISOString();

/** Lets all that is ready run. */
export const settled = () => new Promise((done) => setImmediate(() => setImmediate(done)));

export const ada = { userId: "1", username: "ada", email: "ada@example.com", role: "admin", lastLogin: iso(start) };
export const bob = { userId: "2", username: "bob", email: "bob@example.com", role: "viewer", lastLogin: iso(start) };

/** An answer. */
export const answer = (status, body, headers = {}) => new Response(JSON.stringify(body), { status, headers });
export const refusal = (status, code, headers) =>
	answer(status, { error: { code, message: "No: " + code, timestamp: iso(start) } }, headers);

export class World {
	now = start;
	random = 0.5;
	latency = 0;
	requests = []; // all that were sent
	messages = []; // all that one tab said to others
	delays = []; // all timeouts that were asked for
	timers = new Map();
	store = new Map();
	tabs = [];
	lockQueue = [];
	lockHeld = false;
	lockNames = [];
	lastTimer = 0;

	// The server.
	skew = 0; // its clock to that of the browser
	maxAge = 24 * HOUR;
	threshold = HOUR / 2;
	absolute = 30 * 24 * HOUR;
	who = null; // the session
	sessions = 0;
	down = false; // nothing comes back
	respond = null; // (request) => Response, promise or nothing: in place of the server

	signIn(user) {
		const at = this.now + this.skew;
		this.who = { user, id: "session-" + ++this.sessions, created: at, expires: at + this.maxAge, absolute: at + this.absolute };
	}

	status(reason = null) {
		const at = this.now + this.skew;
		if (this.who && at >= this.who.expires) return this.nobody("SESSION_EXPIRED");
		if (!this.who) return this.nobody(reason);
		const { user, id, created, expires, absolute } = this.who;
		return {
			isAuthenticated: true, isExpired: false,
			remainingTime: Math.floor((expires - at) / 1e3),
			...(expires < absolute && { refreshIn: Math.max(0, Math.floor((expires - this.threshold - at) / 1e3)) }),
			serverTime: iso(at), reason: null, user,
			session: {
				id, createdAt: iso(created), lastAccessed: iso(created), authenticatedAt: iso(created),
				expiresAt: iso(expires), absoluteExpiresAt: iso(absolute), userAgent: "test", ipAddress: "192.0.2.1",
			},
		};
	}

	nobody(reason) {
		return {
			isAuthenticated: false, isExpired: reason === "SESSION_EXPIRED", remainingTime: 0,
			serverTime: iso(this.now + this.skew), reason, user: null, session: null,
		};
	}

	serve({ method, path, body }) {
		const at = this.now + this.skew;
		switch (method + " " + path) {
			case "GET /auth/session":
				return answer(200, this.status());
			case "POST /auth/session/refresh":
				if (!this.who) return refusal(401, "SESSION_NOT_FOUND");
				this.who.expires = Math.min(at + this.maxAge, this.who.absolute);
				return answer(200, this.status());
			case "POST /auth/session/reauthenticate":
				return body.password === "right" ? answer(200, this.status()) : refusal(401, "CREDENTIALS_INVALID");
			case "POST /auth/login": {
				const user = body.password === "right" && { ada, bob }[body.username];
				if (!user) return refusal(401, "CREDENTIALS_INVALID");
				this.signIn(user);
				return answer(200, this.status());
			}
			case "POST /auth/logout":
				this.who = null;
				return answer(200, this.status());
		}
		return refusal(404, "NOT_FOUND");
	}

	setTimeout = (fn, ms = 0, ...args) => {
		this.delays.push(ms);
		if (ms > 2 ** 31 - 1) ms = 1; // as browsers do
		this.timers.set(++this.lastTimer, { fn: () => fn(...args), at: this.now + Math.max(0, ms) });
		return this.lastTimer;
	};

	clearTimeout = (id) => this.timers.delete(id);

	/** Moves the clock, and runs what becomes due, one after another. */
	async pass(ms) {
		const until = this.now + ms;
		for (;;) {
			await settled();
			const [id, next] = [...this.timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
			if (!next || next.at > until) break;
			this.timers.delete(id);
			this.now = Math.max(this.now, next.at);
			next.fn();
		}
		this.now = until;
		await settled();
	}

	/** Moves the clock while nothing runs, as when the lid is shut. */
	sleep(ms) {
		this.now += ms;
		for (const timer of this.timers.values()) timer.at += ms;
	}

	/** The paths asked since the last call of take, without the base. */
	take() {
		return this.requests.splice(0).map(({ method, path }) => method + " " + path.replace("/auth", ""));
	}

	/** Locks are granted one at a time, in order. */
	lock = (name, fn) => {
		this.lockNames.push(name);
		return new Promise((done, failed) => {
			this.lockQueue.push(async () => {
				this.lockHeld = true;
				await fn().then(done, failed);
				this.lockHeld = false;
				this.lockQueue.shift()?.();
			});
			if (!this.lockHeld) this.lockQueue.shift()();
		});
	};

	tab(setup) {
		const tab = new Tab(this, setup);
		this.tabs.push(tab);
		return tab;
	}
}

class Tab {
	listeners = {};
	reloads = 0;
	errors = []; // what reached the console

	constructor(world, { seed, hidden = false, channel = true, storage = true, locks = true } = {}) {
		this.world = world;
		this.document = {
			hidden,
			getElementById: (id) =>
				id === "ginsession-state" && seed !== undefined
					? { textContent: typeof seed === "string" ? seed : JSON.stringify(seed) }
					: null,
		};
		this.navigator = { onLine: true, locks: locks ? { request: world.lock } : undefined };
		const tab = this;
		this.channels = [];
		class FakeChannel extends EventTarget {
			constructor(name) {
				super();
				this.name = name;
				tab.channels.push(this);
			}
			postMessage(data) {
				world.messages.push(structuredClone(data));
				for (const other of world.tabs.flatMap((t) => t.channels)) {
					if (other === this || other.name !== this.name) continue;
					queueMicrotask(() => other.dispatchEvent(Object.assign(new Event("message"), { data: structuredClone(data) })));
				}
			}
		}
		const forbidden = () => {
			throw new DOMException("forbidden", "SecurityError");
		};
		const localStorage = {
			getItem: storage ? (key) => world.store.get(key) ?? null : forbidden,
			setItem: storage
				? (key, value) => {
						if (world.store.get(key) === String(value)) return;
						world.store.set(key, String(value));
						for (const other of world.tabs) if (other !== tab) other.fire("storage", { key, newValue: String(value) });
					}
				: forbidden,
		};
		const math = Object.defineProperties({}, Object.getOwnPropertyDescriptors(Math));
		math.random = () => world.random;
		const names = {
			document: this.document,
			navigator: this.navigator,
			location: { href: "http://x/page?q=1#here", replace: (to) => (this.reloads += to === "http://x/page?q=1") },
			addEventListener: (name, fn) => (this.listeners[name] ??= []).push(fn),
			BroadcastChannel: channel ? FakeChannel : undefined,
			localStorage,
			Math: math,
			Date: { now: () => world.now, parse: Date.parse },
			setTimeout: world.setTimeout,
			clearTimeout: world.clearTimeout,
			fetch: (input, init) => this.fetch(input, init),
			console: { error: (e) => this.errors.push(e) },
		};
		const code = source.replace("export function createAuth", "return function createAuth");
		this.createAuth = vm.compileFunction('"use strict";' + code, Object.keys(names), { filename: "auth.js" })(
			...Object.values(names),
		);
	}

	async fetch(input, init = {}) {
		const world = this.world;
		const path = String(input.url ?? input);
		const request = { tab: this, method: init.method ?? input.method ?? "GET", path, at: world.now, init };
		if (init.body) request.body = JSON.parse(init.body);
		world.requests.push(request);
		const aborted = new Promise((_, failed) => {
			init.signal?.addEventListener("abort", () => failed(new DOMException("aborted", "AbortError")));
		});
		const arrives = async () => {
			if (world.down || !this.navigator.onLine) throw new TypeError("Failed to fetch");
			const response = (await world.respond?.(request)) || world.serve(request);
			if (world.latency) await new Promise((done) => world.setTimeout(done, world.latency));
			return response;
		};
		return Promise.race([arrives(), aborted]);
	}

	fire(name, properties = {}) {
		for (const fn of this.listeners[name] ?? []) fn({ type: name, ...properties });
	}

	/** A store in this tab, once it has its first answer. */
	async signedIn(options) {
		const auth = this.createAuth(options);
		await settled();
		this.world.requests.length = 0;
		this.world.messages.length = 0;
		return auth;
	}

	hide(hidden = true) {
		this.document.hidden = hidden;
		this.fire("visibilitychange");
	}

	show() {
		this.hide(false);
	}

	offline() {
		this.navigator.onLine = false;
		this.fire("offline");
	}

	online() {
		this.navigator.onLine = true;
		this.fire("online");
	}

	type() {
		this.fire("keydown");
	}
}

/** Records what a store tells. */
export const record = (auth) => {
	const told = [];
	for (const name of ["login", "logout", "expired", "expiring", "userchange", "error"]) auth.on(name, () => void told.push(name));
	return told;
};

/** A promise that the test resolves. */
export const gate = () => {
	let open;
	const promise = new Promise((done) => (open = done));
	return { promise, open };
};
