// The session as it runs: JSON, the client's view, the stream, and what happens.

import { auth, $ } from "./auth.js";

const log = (text) => {
	const line = document.createElement("li");
	line.textContent = new Date().toLocaleTimeString() + " " + text;
	$("log").prepend(line);
};
const words = (seconds) => {
	const [h, m] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
	return (h ? h + "h" : "") + (h || m ? m + "m" : "") + (seconds % 60) + "s";
};
const show = (element, value) => (element.textContent = JSON.stringify(value, null, 2));

let refreshAt; // by the clock of this page

// It is no activity to ask for the status.
async function status() {
	try {
		const answer = await fetch("/auth/session");
		const body = await answer.json();
		show($("status"), body);
		refreshAt = Date.now() + body.refreshIn * 1000;
		return `${answer.status}, ${body.remainingTime ?? 0} s left`;
	} catch {
		return "no answer";
	}
}

function draw() {
	const snapshot = auth.getSnapshot();
	$("remaining").textContent = words(snapshot.remainingSeconds());
	if (refreshAt && $("refresh-in")) $("refresh-in").textContent = words(Math.max(0, Math.round((refreshAt - Date.now()) / 1000)));
	show($("client"), { ...snapshot, remainingSeconds: snapshot.remainingSeconds() });
}
auth.subscribe(draw);
setInterval(draw, 500);
draw();
status();

$("passive").addEventListener("click", async () => log("GET /auth/session: " + (await status()) + ", no activity"));
$("activity").addEventListener("click", async () => {
	try {
		const answer = await auth.fetch("/api/activity", { method: "POST" });
		const { renewed } = await answer.json();
		log(`POST /api/activity: ${answer.status}, ${renewed ? "a new cookie: the session is refreshed" : "the cookie stays"}`);
	} catch {
		log("POST /api/activity: no answer");
	}
	await auth.refresh({ force: true });
	await status();
});
$("extend").addEventListener("click", async () => {
	const before = auth.getSnapshot().session?.expiresAt;
	const { session, error } = await auth.extend();
	const moved = session && session.expiresAt !== before;
	const stays = session?.expiresAt === session?.absoluteExpiresAt ? "the end stays: it is the absolute one" : "it was refreshed just now";
	log("POST /auth/session/refresh: " + (error ? error.code : moved ? "a new cookie, all the time again" : stays));
	await status();
});

for (const name of ["login", "logout", "expired", "expiring", "userchange", "error"]) {
	auth.on(name, (detail) => log("client: " + name + (detail?.code ? " " + detail.code : "")));
}

// Server-sent events. They end with the session, whoever ends it. A page that nobody
// sees has none: over HTTP/1.1 a browser opens six connections to a site, in all tabs.
let clock;
const stream = () => {
	clock?.close();
	clock = undefined;
	if (document.hidden) return;
	clock = new EventSource("/api/clock");
	clock.addEventListener("tick", (event) => ($("clock").textContent = JSON.parse(event.data).slice(11, 19)));
	clock.addEventListener("ended", (event) => {
		document.removeEventListener("visibilitychange", stream);
		clock.close();
		$("clock").textContent = "ended";
		const { code, reason } = JSON.parse(event.data);
		log(`stream: ended, ${code} ${reason ?? ""}`);
		auth.refresh({ force: true });
	});
};
document.addEventListener("visibilitychange", stream);
stream();
