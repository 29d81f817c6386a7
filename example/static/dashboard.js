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

// It is no activity to ask for the status.
async function status() {
	try {
		const answer = await fetch("/auth/session");
		const body = await answer.json();
		show($("status"), body);
		return `${answer.status}, ${body.remainingTime ?? 0} s left`;
	} catch {
		return "no answer";
	}
}

function draw() {
	const snapshot = auth.getSnapshot();
	$("remaining").textContent = words(snapshot.remainingSeconds());
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
	log("POST /auth/session/refresh: " + (error ? error.code : moved ? "a new cookie, all the time again" : "it was refreshed just now"));
	await status();
});

for (const name of ["login", "logout", "expired", "expiring", "userchange", "error"]) {
	auth.on(name, (detail) => log("client: " + name + (detail?.code ? " " + detail.code : "")));
}

// Server-sent events. They end with the session, whoever ends it.
const clock = new EventSource("/api/clock");
clock.addEventListener("tick", (event) => ($("clock").textContent = JSON.parse(event.data).slice(11, 19)));
clock.addEventListener("ended", (event) => {
	clock.close();
	$("clock").textContent = "ended";
	const { code, reason } = JSON.parse(event.data);
	log(`stream: ended, ${code} ${reason ?? ""}`);
	auth.refresh({ force: true });
});
