import { fire } from "@bytecodealliance/jco-std/wasi/0.2.x/http/adapters/hono/server";
import { Hono } from "hono";
import { setting } from "./settings";

const app = new Hono();

app.get("/", (context) => context.text(`${setting("greeting") ?? "Hello"} from Hono.\n`));

app.get("/hello/:name", (context) => context.json({ hello: context.req.param("name") }));

fire(app);

// What the host calls.
export { incomingHandler } from "@bytecodealliance/jco-std/wasi/0.2.x/http/adapters/hono/server";
