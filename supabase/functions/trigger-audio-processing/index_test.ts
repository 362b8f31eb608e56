// The function against stubs of Supabase Auth, Supabase Storage and the API, over real HTTP on loopback.
import assert from "node:assert/strict";
import { type Config, handle, readConfig } from "./index.ts";

type Answer = (request: Request) => Response | Promise<Response>;
interface Call {
  path: string;
  authorization: string | null;
  body: unknown;
}
interface World {
  config: Config;
  auth: Answer;
  storage: Answer;
  api: Answer;
  apiCalls: Call[];
}

const USER = "6b1f3c7e-55a0-4a43-9f0c-0d1d6a3f7a11";
const GOOD = { session_id: "s-1", audio_url: "https://example.org/talk.m4a" };

/** Two stub servers, a configuration that names them, and the function's calls to the API. */
async function inWorld(changes: Partial<World>, check: (world: World) => Promise<void>): Promise<void> {
  const world: World = {
    config: {} as Config,
    auth: () => Response.json({ id: USER, aud: "authenticated", email: "coach@example.org" }),
    storage: () => Response.json({ signedURL: "/object/sign/sessions/a%20b.m4a?token=t" }),
    api: () => Response.json({ status: "processing" }, { status: 202 }),
    apiCalls: [],
    ...changes,
  };
  const supabase = serve((request) => request.url.includes("/auth/v1/") ? world.auth(request) : world.storage(request));
  const api = serve(async (request) => {
    const path = new URL(request.url).pathname;
    world.apiCalls.push({ path, authorization: request.headers.get("Authorization"), body: await request.json() });
    return await world.api(request);
  });
  world.config = {
    ...{ supabaseUrl: supabase.url, supabaseAnonKey: "anon", apiUrl: api.url, apiKey: "vi_key" },
    ...{ timeoutMs: 2_000, retryAfterMs: 1, signedUrlExpiresS: 60 },
    ...changes.config,
  };
  try {
    await check(world);
  } finally {
    await Promise.all([supabase.stop(), api.stop()]);
  }
}

function serve(answer: Answer): { url: string; stop: () => Promise<void> } {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
  return { url: `http://127.0.0.1:${server.addr.port}`, stop: () => server.shutdown() };
}

function post(body: unknown, authorization: string | null = "Bearer user-token"): Request {
  const headers = new Headers(authorization ? { Authorization: authorization } : {});
  return new Request("http://function/", { method: "POST", headers, body: JSON.stringify(body) });
}

async function codeOf(response: Response): Promise<[number, string]> {
  const body = await response.json();
  assert.ok(body.message.length > 0, "every error says what to do");
  assert.equal(response.headers.get("Access-Control-Allow-Origin"), "*");
  return [response.status, body.code];
}

Deno.test("a signed-in caller's recording is handed to the API under the service key", () =>
  inWorld({}, async ({ config, apiCalls }) => {
    const response = await handle(post(GOOD), config);
    assert.equal(response.status, 202);
    assert.deepEqual(await response.json(), {
      message: "Processing started",
      session_id: "s-1",
      status: "processing",
    });
    const body = { ...GOOD, user_id: USER };
    assert.deepEqual(apiCalls, [{ path: "/process-audio", authorization: "Bearer vi_key", body }]);
  }));

Deno.test("a path in Storage becomes a signed address, asked for as the caller", async () => {
  const asked: string[] = [];
  const storage: Answer = (request) => {
    asked.push(`${new URL(request.url).pathname} ${request.headers.get("Authorization")}`);
    return Response.json({ signedURL: "/object/sign/sessions/a.m4a?token=t" });
  };
  await inWorld({ storage }, async ({ config, apiCalls }) => {
    const response = await handle(post({ session_id: "s-1", storage_path: "sessions/u/a.m4a" }), config);
    assert.equal(response.status, 202);
    await response.body?.cancel();
    assert.deepEqual(asked, ["/storage/v1/object/sign/sessions/u/a.m4a Bearer user-token"]);
    const sent = apiCalls[0].body as { audio_url: string };
    assert.equal(sent.audio_url, `${config.supabaseUrl}/storage/v1/object/sign/sessions/a.m4a?token=t`);
  });
});

Deno.test("a recording that the caller may not read is not found", () =>
  inWorld({ storage: () => Response.json({ message: "Object not found" }, { status: 400 }) }, async (world) => {
    const response = await handle(post({ session_id: "s", storage_path: "sessions/other.m4a" }), world.config);
    assert.deepEqual(await codeOf(response), [404, "recording_not_found"]);
    assert.equal(world.apiCalls.length, 0);
  }));

Deno.test("trouble at Supabase Storage is not taken for a missing recording", () =>
  inWorld({ storage: () => new Response("upstream", { status: 502 }) }, async (world) => {
    const response = await handle(post({ session_id: "s", storage_path: "sessions/a.m4a" }), world.config);
    assert.deepEqual(await codeOf(response), [503, "storage_unavailable"]);
  }));

Deno.test("a preflight is answered without a token", () =>
  inWorld({}, async ({ config }) => {
    const response = await handle(new Request("http://function/", { method: "OPTIONS" }), config);
    assert.equal(response.status, 204);
    assert.match(response.headers.get("Access-Control-Allow-Headers")!, /authorization.*content-type/);
    await response.body?.cancel();
  }));

Deno.test("other methods are refused", () =>
  inWorld({}, async ({ config }) => {
    assert.deepEqual(await codeOf(await handle(new Request("http://function/"), config)), [405, "method_not_allowed"]);
  }));

for (const authorization of [null, "Basic abc", "Bearer "]) {
  Deno.test(`without a token (${authorization}) nothing is asked of anybody`, () =>
    inWorld({}, async ({ config, apiCalls }) => {
      assert.deepEqual(await codeOf(await handle(post(GOOD, authorization), config)), [401, "unauthorized"]);
      assert.equal(apiCalls.length, 0);
    }));
}

Deno.test("a token that Supabase does not know is refused", () =>
  inWorld({ auth: () => Response.json({ msg: "invalid JWT" }, { status: 401 }) }, async ({ config, apiCalls }) => {
    assert.deepEqual(await codeOf(await handle(post(GOOD), config)), [401, "unauthorized"]);
    assert.equal(apiCalls.length, 0);
  }));

Deno.test("trouble at Supabase Auth is not blamed on the caller", () =>
  inWorld({ auth: () => new Response("upstream", { status: 503 }) }, async ({ config }) => {
    assert.deepEqual(await codeOf(await handle(post(GOOD), config)), [503, "auth_unavailable"]);
  }));

const BAD_BODIES: [string, unknown, number, string][] = [
  ["an array", [1], 400, "invalid_json"],
  ["no session", { audio_url: GOOD.audio_url }, 422, "invalid_input"],
  ["an empty session", { ...GOOD, session_id: " " }, 422, "invalid_input"],
  ["a session that is a number", { ...GOOD, session_id: 7 }, 422, "invalid_input"],
  ["no recording", { session_id: "s" }, 422, "invalid_input"],
  ["two recordings", { ...GOOD, storage_path: "b/p" }, 422, "invalid_input"],
  ["a path without a bucket", { session_id: "s", storage_path: "p.m4a" }, 422, "invalid_input"],
  ["far too much", { ...GOOD, more: "x".repeat(20_000) }, 413, "payload_too_large"],
];
for (const [name, body, status, code] of BAD_BODIES) {
  Deno.test(`a body with ${name} is refused as ${code}`, () =>
    inWorld({}, async ({ config, apiCalls }) => {
      assert.deepEqual(await codeOf(await handle(post(body), config)), [status, code]);
      assert.equal(apiCalls.length, 0);
    }));
}

Deno.test("text that is no JSON is refused", () =>
  inWorld({}, async ({ config }) => {
    const request = new Request(post(GOOD), { body: "{" });
    assert.deepEqual(await codeOf(await handle(request, config)), [400, "invalid_json"]);
  }));

Deno.test("one 503 of the API is tried again", async () => {
  const answers = [503, 202];
  const api = () => Response.json({}, { status: answers.shift() });
  await inWorld({ api }, async ({ config, apiCalls }) => {
    const response = await handle(post(GOOD), config);
    await response.body?.cancel();
    assert.equal(response.status, 202);
    assert.equal(apiCalls.length, 2);
  });
});

Deno.test("two are not", () =>
  inWorld({ api: () => Response.json({}, { status: 503 }) }, async ({ config, apiCalls }) => {
    assert.deepEqual(await codeOf(await handle(post(GOOD), config)), [503, "api_busy"]);
    assert.equal(apiCalls.length, 2);
  }));

Deno.test("what the API says of the request reaches the caller", async () => {
  const problem = { code: "source_refused", detail: "Only https addresses are fetched" };
  await inWorld({ api: () => Response.json(problem, { status: 422 }) }, async ({ config }) => {
    const response = await handle(post(GOOD), config);
    assert.deepEqual(await response.json(), { code: problem.code, message: problem.detail });
    assert.equal(response.status, 422);
  });
});

Deno.test("a refused service key is the operator's trouble, not the caller's", () =>
  inWorld({ api: () => Response.json({ code: "unauthorized" }, { status: 401 }) }, async ({ config }) => {
    assert.deepEqual(await codeOf(await handle(post(GOOD), config)), [500, "setup_error"]);
  }));

Deno.test("an API that is down is named as that", () =>
  inWorld({}, async ({ config }) => {
    const gone = serve(() => new Response());
    await gone.stop();
    const response = await handle(post(GOOD), { ...config, apiUrl: gone.url });
    assert.deepEqual(await codeOf(response), [503, "api_unreachable"]);
  }));

Deno.test("an API that hangs is given up, and not asked twice", async () => {
  let release = () => {};
  const hang = new Promise<void>((resolve) => release = resolve);
  const api = async () => {
    await hang;
    return Response.json({});
  };
  await inWorld({ api }, async ({ config, apiCalls }) => {
    const response = await handle(post(GOOD), { ...config, timeoutMs: 200 });
    release();
    assert.deepEqual(await codeOf(response), [504, "api_timeout"]);
    assert.equal(apiCalls.length, 1);
  });
});

Deno.test("a missing secret is named, and how to set it", () => {
  assert.throws(() => readConfig({ get: () => undefined }), /SUPABASE_URL is not set/);
  const config = readConfig({ get: (name) => name === "VIBEINSIGHT_API_URL" ? "https://api.example/" : "x" });
  assert.equal(config.apiUrl, "https://api.example");
});
