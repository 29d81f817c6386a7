// Package browser serves the client for browsers: auth.js, a module without
// dependencies that knows how the session stands, and react.js, which makes it a
// hook. What they do is told in auth.d.ts and react.d.ts beside them.
//
//	modules := browser.Mount(r.Group("/auth/js"))
//	r.Use(sessions.Load)
//	sessions.Routes(r.Group("/auth"))
//
// And in a page:
//
//	{{ .Session }}
//	<script type="module" src="/app.js"></script>
//
//	import { createAuth } from "/auth/js/auth.js"
//	const auth = createAuth()
//	auth.subscribe(() => show(auth.getSnapshot()))
//
// where Session is what [State] returned. The modules need nothing that a strict
// Content-Security-Policy forbids.
package browser
