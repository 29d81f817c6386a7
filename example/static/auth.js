// The one store of the page: who is signed in, and what can be done about it.

import { createAuth } from "ginsession";

export const auth = createAuth({ warnSeconds: Number(document.body.dataset.warn) });
export const $ = (id) => document.getElementById(id);
