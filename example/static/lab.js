// Do not copy this file: see lab.go.

import { auth, $ } from "./auth.js";

const show = (value) => ($("lab-result").textContent = typeof value === "string" ? value : JSON.stringify(value, null, 2));
const post = async (path) => {
	const answer = await auth.fetch(path, { method: "POST" });
	return { status: answer.status, ...(await answer.json()) };
};

function button(id, act) {
	$(id).addEventListener("click", async () => {
		$(id).disabled = true;
		show("…");
		try {
			show(await act());
		} catch (error) {
			show(String(error));
		}
		$(id).disabled = false;
		$("lab-result").scrollIntoView({ block: "nearest" });
	});
}

async function state() {
	const { databaseBrokenFor } = await (await fetch("/lab/state")).json();
	$("lab-state").textContent = databaseBrokenFor > 0 ? `broken for ${Math.ceil(databaseBrokenFor)} s` : "it answers";
	if (databaseBrokenFor > 0) setTimeout(state, 500);
	auth.refresh({ force: true }); // for some seconds the server still knows who you are
}

button("lab-database", async () => {
	const broken = await post("/lab/database");
	state();
	const { error, isAuthenticated } = await auth.refresh({ force: true });
	return { ...broken, client: { isAuthenticated, error: error?.code ?? null } };
});

button("lab-key", async () => {
	const { keys } = await post("/lab/key");
	const first = await post("/api/activity");
	const second = await post("/api/activity");
	return { keys, first: { status: first.status, newCookie: first.renewed }, second: { status: second.status, newCookie: second.renewed } };
});

button("lab-parallel", async () => {
	await post("/lab/due");
	const answers = await Promise.all(Array.from({ length: 20 }, () => post("/api/activity")));
	await auth.refresh({ force: true });
	return {
		requests: answers.length,
		answered200: answers.filter((a) => a.status === 200).length,
		newCookies: answers.filter((a) => a.renewed).length,
		signedIn: auth.getSnapshot().isAuthenticated,
	};
});

button("lab-replay", async () => {
	const result = await post("/lab/replay");
	await auth.refresh({ force: true });
	return { ...result, signedIn: auth.getSnapshot().isAuthenticated };
});

button("lab-limit", () => post("/lab/limit"));
state();
