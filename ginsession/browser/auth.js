// See auth.d.ts.

const DAY = 864e5;
const page = typeof document === "object";

const frozen = (text) => JSON.parse(text, (_, value) => Object.freeze(value));
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const hash = (a) => "" + [...JSON.stringify(a)].reduce((h, c) => Math.imul(h, 33) ^ c.charCodeAt(), 5381);
const listen = (name, fn) => addEventListener(name, fn, true);

// What all tabs see, if they may.
const stored = (key, value) => {
	try {
		key = "ginsession:" + key;
		if (value === undefined) return localStorage.getItem(key);
		localStorage.setItem(key, value);
	} catch {}
};

// Tabs tell each other that something changed, never what.
const channel = page && typeof BroadcastChannel === "function" && new BroadcastChannel("ginsession");
const say = (type, rev, from) => {
	const m = { v: 1, type, rev, from };
	if (channel) channel.postMessage(m);
	else stored("say", JSON.stringify(m));
};

const problem = (response, error) =>
	Object.assign(new Error(error?.message), {
		code: error?.code ?? (response ? "HTTP_" + response.status : "NETWORK"),
		status: response?.status,
		retryAfter: +response?.headers.get("Retry-After") || undefined,
	});
const ended = (e) => e.status === 401 && /^(SESSION_(NOT_FOUND|EXPIRED|INVALID)|JWT_INVALID)$/.test(e.code);

export function createAuth({ base = "/auth", warnSeconds = 300, pollSeconds, refetchOnFocus = true, guardBfcache, onReauth } = {}) {
	const nobody = { user: null, session: null, reason: null, endReason: null, actor: null };
	const events = {}, timers = {};
	let flight, aborter; // of the GET under way
	let posts = 0, busy; // of the POSTs
	let was, rev, lastUser; // of the last answer
	let answered = 0, fails = 0, notBefore = 0;
	let end = 0, renewAt; // by the clock of the page
	let leaving = false, touched, warned, extending, asking;
	let snap = { remainingSeconds: () => Math.max(0, Math.floor((end - Date.now()) / 1e3)) };

	const on = (name, fn) => {
		(events[name] ??= new Set()).add(fn);
		later("tick", tick, 0);
		return () => events[name].delete(fn);
	};
	const emit = (name, detail) => {
		let go = true;
		events[name]?.forEach((fn) => {
			try {
				go = fn(detail) !== false && go;
			} catch (e) {
				console.error(e);
			}
		});
		return go;
	};

	const set = (part) => {
		const next = { ...snap, ...part };
		next.isAuthenticated = next.status === "authenticated";
		next.isLoading = next.status === "loading";
		for (const key in next) if (same(next[key], snap[key])) next[key] = snap[key];
		if (same(next, snap)) return;
		snap = Object.freeze(next);
		emit("change");
	};
	const idle = () => ({ isRefreshing: false, isLoggingOut: leaving });
	set({ status: "loading", ...nobody, error: null, ...idle() });
	let first = snap;

	const later = (name, fn, ms) => {
		clearTimeout(timers[name]);
		timers[name] = ms > DAY ? setTimeout(later, DAY, name, fn, ms - DAY) : setTimeout(fn, ms);
	};

	// settle believes the server. how is what other tabs are told.
	const settle = (body, how) => {
		const { user, session } = body;
		const had = was, old = lastUser, before = stored(base) ?? rev, next = { ...nobody };
		for (const key in next) next[key] = body[key] ?? null;
		answered = Date.now();
		fails = notBefore = 0;
		clearTimeout(timers.retry);
		was = body.isAuthenticated;
		end = answered + Date.parse(session?.expiresAt) - Date.parse(body.serverTime) || 0;
		const renews = answered + (body.refreshIn ?? Infinity) * 1e3;
		if (renews > Math.max(renewAt, answered) + 2e3) touched = false;
		renewAt = renews;
		lastUser = user ?? old;
		rev = hash([user?.userId, user?.role, session?.id, session?.expiresAt]);
		stored(base, rev);
		stored("checked", answered);
		if (how && before && before !== rev) say(how, rev, base);
		if (old && lastUser.userId !== old.userId && emit("userchange", { previous: old, user })) location.replace(location.href.split("#")[0]);
		set({ status: was ? "authenticated" : "unauthenticated", ...next, error: null, ...idle() });
		if (had === false && was) emit("login", snap);
		if (had && !was) emit(body.reason === "SESSION_EXPIRED" ? "expired" : "logout", snap);
		tick();
	};
	const lost = (reason, how) => settle({ isAuthenticated: false, reason }, how);

	// fail keeps the state and asks again.
	const fail = (e) => {
		const wait = e.retryAfter * 1e3 || Math.min(30, 2 ** fails++) * (500 + Math.random() * 500);
		notBefore = e.retryAfter ? Date.now() + wait : 0;
		set({ error: e, ...idle() });
		emit("error", e);
		later("retry", () => navigator.onLine !== false && check(), wait);
		tick();
	};

	const call = async (method, path, data, abort = new AbortController()) => {
		const alarm = setTimeout(() => abort.abort(), 3e4);
		let response, body;
		try {
			response = await fetch(base + path, {
				method,
				signal: abort.signal,
				headers: { "Content-Type": "application/json" },
				body: JSON.stringify(data),
			});
			body = frozen(await response.text());
		} catch {}
		clearTimeout(alarm);
		return response?.ok && typeof body?.isAuthenticated === "boolean" ? { body } : { e: problem(response, body?.error) };
	};
	const take = ({ body, e }, how) => {
		if (body) settle(body, how);
		else if (ended(e)) lost(e.code, how);
		else fail(e);
	};

	const drop = () => {
		aborter?.abort();
		aborter = flight = undefined;
	};
	const get = (how) => {
		if (busy) return busy.then(() => flight ?? get(how));
		drop();
		const mine = (aborter = new AbortController());
		flight = call("GET", "/session", undefined, mine).then((answer) => {
			if (mine === aborter) flight = take(answer, how);
			return flight ?? busy ?? snap;
		});
		return flight;
	};
	const check = () => flight ?? get("changed");
	const ask = (how = check) => Date.now() >= notBefore && how();
	const revalidate = () => (snap.error || Date.now() - answered > 5e3) && ask();

	// POSTs go one by one. Those of forms, with data, throw.
	const post = (path, data) => {
		posts++;
		const sent = Promise.resolve(busy).then(async () => {
			const at = was;
			drop();
			const answer = await call("POST", path, data), { e } = answer;
			if (!--posts) busy = undefined;
			if (path === "/logout") leaving = false;
			if (data && e?.status < 500 && !ended(e)) set(idle(), was ?? check());
			else if (at && !was) check();
			else take(answer, path === "/logout" ? "logout" : "changed");
			if (data && e) throw e;
			return snap;
		});
		busy = sent.catch(() => snap);
		return sent;
	};

	// Input renews the session when that is due, in one tab.
	const willExtend = () => touched && !document.hidden && renewAt < end && !snap.error;
	const due = () => willExtend() && Date.now() >= renewAt;
	const extendOnce = async () => {
		await get("changed"); // another tab may have done it
		if (due()) await post("/session/refresh");
	};

	const tick = () => {
		clearTimeout(timers.tick);
		if (!end || !page) return;
		if (due()) {
			extending ??= (
				navigator.locks?.request("ginsession:refresh", extendOnce) ??
				new Promise((done) => setTimeout(done, Math.random() * 500)).then(extendOnce)
			).catch(() => {}).then(() => (extending = undefined));
		}
		const now = Date.now(), warnAt = end - warnSeconds * 1e3;
		if (now >= warnAt && warned !== rev && events.expiring && !willExtend()) {
			if (answered < warnAt && !snap.error) return ask();
			warned = rev;
			emit("expiring", { remainingSeconds: snap.remainingSeconds(), extend });
		}
		const next = Math.min(...[warnAt, renewAt].filter((at) => at > now), end);
		if (next < end) later("tick", tick, next - now);
		else if (now < end || !snap.error) later("tick", ask, Math.max(1e3, end - now));
	};

	const poll = () => {
		const every = pollSeconds * 1e3, wait = every - Date.now() + +stored("checked");
		if (!(wait > 0 || document.hidden || snap.error)) ask();
		later("poll", poll, wait > 0 ? wait : every);
	};

	const hydrate = (body) => {
		if (was !== undefined) return;
		drop();
		settle(frozen(JSON.stringify(body)), "changed");
		first = snap;
	};
	const refresh = ({ force } = {}) => {
		set({ isRefreshing: was !== undefined });
		return force ? get("changed") : (busy ?? check());
	};
	const extend = () => {
		set({ isRefreshing: true });
		return post("/session/refresh");
	};
	const logout = () => {
		if (leaving) return busy;
		leaving = true;
		set({ isLoggingOut: true });
		return post("/logout");
	};

	const send = async (input, init, again) => {
		const at = snap, copy = input.clone?.() ?? input;
		const response = await fetch(input, init).catch((e) => {
			if (e instanceof TypeError) fail(problem());
			throw e;
		});
		if (response.ok) return response;
		const e = problem(response, (await response.clone().json().catch(() => {}))?.error);
		// An old or a foreign answer has to be confirmed.
		if (ended(e) && was) at === snap && response.type !== "cors" ? lost(e.code, "changed", drop()) : check();
		if (e.code === "STORE_UNAVAILABLE") fail(e);
		const prove = [...(events.reauth ?? [])].pop();
		if (e.code !== "REAUTH_REQUIRED" || !prove || again) return response;
		asking ??= Promise.resolve(e).then(prove).catch(() => false).finally(() => (asking = undefined));
		return (await asking) === false ? response : send(copy, init, true);
	};

	if (onReauth) on("reauth", onReauth);
	if (page) {
		try {
			hydrate(JSON.parse(document.getElementById("ginsession-state").textContent));
		} catch {}
		const hear = (m) => {
			if (m?.from !== base || m.rev === rev) return;
			const out = m.type === "logout";
			if (out && was) lost(null, "", drop());
			later("heard", () => (out || m.rev !== rev) && ask(get), Math.random() * 300);
		};
		if (channel) channel.addEventListener("message", (e) => hear(e.data));
		else listen("storage", (e) => e.key === "ginsession:say" && hear(JSON.parse(e.newValue)));
		listen("visibilitychange", () => {
			tick();
			if (refetchOnFocus && !document.hidden) revalidate();
		});
		listen("online", revalidate);
		listen("pageshow", (e) => {
			if (!e.persisted) return;
			if (guardBfcache) get("changed", set({ status: "loading", ...nobody }));
			else revalidate();
		});
		for (const name of ["pointerdown", "keydown"]) {
			listen(name, () => {
				touched = true;
				if (due()) tick();
			});
		}
		if (pollSeconds) later("poll", poll, pollSeconds * 1e3);
		queueMicrotask(() => was === undefined && check());
	}

	return {
		getSnapshot: () => snap,
		getServerSnapshot: () => first,
		subscribe: (fn) => on("change", fn),
		refresh, extend, logout, hydrate, on,
		login: (body) => post("/login", body),
		reauth: (body) => post("/session/reauthenticate", body),
		fetch: (input, init) => send(input, init),
	};
}
