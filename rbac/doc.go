// Package rbac guards routes by the role of the signed-in user.
//
//	admin := r.Group("/admin", rbac.RequireRole("admin"))
//
// The role comes from the session, which has it from the database: a role that
// was taken away lets nobody in at the next request. A user has one role.
//
// # Policies
//
// A [Policy] says which roles include others, and what each may do:
//
//	policy, err := rbac.NewPolicy(map[string]rbac.Role{
//		"reader": {Permissions: []string{"posts:read"}},
//		"writer": {Inherits: []string{"reader"}, Permissions: []string{"posts:write"}},
//		"admin":  {Inherits: []string{"writer"}, Permissions: []string{"posts:*", "users:*"}},
//	})
//
//	r.GET("/desk", policy.RequireRole("writer"), desk)                     // writers and admins
//	r.POST("/posts", policy.Require("posts:write"), publish)               // the same, by what is done
//	r.PUT("/posts/:id", policy.RequireOwner("posts:edit", authorOf), edit) // the author, or an admin
//
// A user may do what the permissions of his role say, and nothing else. There is
// no rule that takes away, and no role that everybody has.
//
// Roles and permissions that guards ask for are looked up when the guards are
// made. What nobody could pass is found then, when the program starts: it panics
// with the name. Where a role has "*", a misspelt permission is one that this role
// has; name what it may do in its place, as above, to have it found.
//
// [Policy.Replace] puts another policy in the place of this one while requests
// run, as when it is read from a file. That holds for the next request of this
// process; each node replaces its own.
//
// # Denials
//
// Every guard answers 401 without a session, and 403 ROLE_REQUIRED or
// PERMISSION_REQUIRED to a user who may not pass. The answer says what was needed,
// and so does the event authz_fail, with the route. So the names of roles and
// permissions that guards ask for are no secret to those who are signed in; an
// application that wants them to be one writes its own answer in
// ginsession.Config.Refuse. All that this package panics with or returns begins
// with "rbac: ".
package rbac
