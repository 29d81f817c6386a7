// The modules as files: what they are made of, and what their types promise.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import ts from "typescript";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (name) => readFileSync(join(folder, name), "utf8");

describe("the modules", () => {
	it("auth.js is less than 4 KiB gzipped, and imports nothing", () => {
		assert.ok(gzipSync(read("auth.js"), { level: 9 }).length < 4096);
		assert.doesNotMatch(read("auth.js"), /\bimport\b|\brequire\b/);
	});

	it("need nothing that a strict Content-Security-Policy forbids", () => {
		for (const name of ["auth.js", "react.js"]) {
			assert.doesNotMatch(read(name), /\beval\b|\bFunction\(|Worker|\bblob\b|innerHTML|\.style\b|createElement\("s/i);
		}
	});

	it("auth.js does nothing where there is no document", async () => {
		const { fetch } = globalThis;
		globalThis.fetch = () => assert.fail("a request");
		try {
			const { createAuth } = await import("../auth.js");
			const auth = createAuth();
			await new Promise((done) => setImmediate(done));
			assert.equal(auth.getSnapshot().status, "loading");
			assert.equal(auth.getServerSnapshot(), auth.getSnapshot());
			auth.hydrate({ isAuthenticated: true, user: { userId: "1" }, session: { expiresAt: "2100-01-01T00:00:00Z" } });
			assert.equal(auth.getServerSnapshot().status, "authenticated");
			assert.equal(createAuth().getServerSnapshot().status, "loading"); // another request's
		} finally {
			globalThis.fetch = fetch;
		}
	});

	it("have types that say what is there", async () => {
		for (const [name, module] of [["auth", await import("../auth.js")], ["react", await import("../react.js")]]) {
			const file = ts.createSourceFile(name, read(name + ".d.ts"), ts.ScriptTarget.Latest);
			const functions = file.statements.filter(ts.isFunctionDeclaration).map((s) => s.name.text);
			assert.deepEqual([...new Set(functions)].sort(), Object.keys(module).sort());
		}
	});
});

describe("the types", () => {
	it("hold for what applications write, strictly", () => {
		const program = ts.createProgram([join(folder, "testdata", "application.ts")], {
			strict: true, noEmit: true, skipLibCheck: false, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true,
			module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, lib: ["lib.es2022.d.ts", "lib.dom.d.ts"], types: [],
		});
		const faults = ts.getPreEmitDiagnostics(program);
		const text = (fault) => `${fault.file?.fileName}:${fault.start}: ${ts.flattenDiagnosticMessageText(fault.messageText, "\n")}`;
		assert.deepEqual(faults.map(text), []);
	});
});
