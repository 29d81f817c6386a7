// Asking for the password in the page, when the server wants it again.

import { auth, $ } from "./auth.js";

// auth.fetch waits for this promise, and sends the refused request once more.
auth.on("reauth", () => new Promise((done) => {
	const dialog = $("reauth"), form = $("reauth-form"), problem = $("reauth-problem");
	form.reset();
	problem.hidden = true;
	form.onsubmit = async (event) => {
		event.preventDefault();
		try {
			await auth.reauth({ password: form.password.value });
			done(true);
			dialog.close();
		} catch (error) {
			problem.textContent = error.message || "The server does not answer.";
			problem.hidden = false;
		}
	};
	$("reauth-cancel").onclick = () => dialog.close();
	dialog.onclose = () => done(false); // does nothing after done(true)
	dialog.showModal();
}));

$("sensitive").addEventListener("click", async () => {
	$("sensitive-result").textContent = "…";
	try {
		const answer = await auth.fetch("/api/sensitive", { method: "POST" });
		const body = await answer.json();
		$("sensitive-result").textContent = answer.ok ? "Done." : "Not done. " + body.error.message;
	} catch {
		$("sensitive-result").textContent = "Not done. The server does not answer.";
	}
});
