// Package rbac guards routes by the role of the signed-in user.
//
//	admin := r.Group("/admin", rbac.RequireRole("admin"))
//
// The role comes from the session, which has it from the database: a role that
// was taken away lets nobody in at the next request.
package rbac
