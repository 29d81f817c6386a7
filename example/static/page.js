// What every page does with the session. All of it works without, a bit less well.

import { auth, $ } from "./auth.js";

for (const part of document.querySelectorAll(".scripted")) part.hidden = false;

// Whoever is no longer signed in, here or elsewhere, sees no more of the page. The
// sign-in page knows why.
const leave = () => {
	if (!$("who") || $("main").querySelector("[data-stay]")) return;
	location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
};
auth.on("logout", leave);
auth.on("expired", leave);
// Not by reload(): that would send a form again, in our name, also one that another
// site has sent and that was refused.
const anew = () => location.replace(location.pathname + location.search);
auth.on("login", () => !$("who") && anew()); // in another tab
addEventListener("pageshow", (event) => event.persisted && anew()); // with the back button

$("sign-out")?.addEventListener("submit", async (event) => {
	event.preventDefault();
	await auth.logout();
	if (!auth.getSnapshot().isAuthenticated) location.assign("/login");
});

// The warning before the end.
auth.on("expiring", () => {
	const { session } = auth.getSnapshot();
	$("stay").hidden = session.expiresAt === session.absoluteExpiresAt; // nothing moves that
	$("expiring").hidden = false;
});
$("stay")?.addEventListener("click", () => auth.extend());
setInterval(() => {
	const left = auth.getSnapshot().remainingSeconds();
	if (!$("expiring")) return;
	$("expiring-in").textContent = left;
	if (left > Number(document.body.dataset.warn)) $("expiring").hidden = true;
}, 250);

// The time to wait after too many attempts.
const until = Date.now() + 1000 * Number($("wait")?.textContent);
if ($("wait")) setInterval(() => ($("wait").textContent = Math.max(0, Math.ceil((until - Date.now()) / 1000))), 250);

// No answer is no logout.
auth.subscribe(() => ($("problem").hidden = !(auth.getSnapshot().error && auth.getSnapshot().isAuthenticated)));
