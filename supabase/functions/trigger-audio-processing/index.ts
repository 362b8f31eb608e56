// Starts the analysis of a recording for a signed-in Supabase user.
//
// The browser knows a session and a recording; only the server may know the key of the VibeInsight API. So this
// function checks who calls, turns a Storage path into a short-lived address with the caller's own rights, and asks the
// API to begin. It waits for the acceptance of the job, never for its end: progress comes by Realtime.
//
// Secrets (supabase secrets set): VIBEINSIGHT_API_URL, VIBEINSIGHT_API_KEY. Supabase itself sets SUPABASE_URL and
// SUPABASE_ANON_KEY.
import { createClient, isAuthRetryableFetchError, type SupabaseClient } from "@supabase/supabase-js";

export interface Config {
  supabaseUrl: string;
  supabaseAnonKey: string;
  apiUrl: string;
  apiKey: string;
  timeoutMs: number; // one call to Supabase or to the API
  retryAfterMs: number; // pause before the second and last try after a 503
  signedUrlExpiresS: number; // how long the workers may fetch the recording
}

interface Trigger {
  sessionId: string;
  audioUrl?: string;
  storagePath?: string; // "bucket/path/in/bucket"
}

/** What went wrong, in the words that the caller gets. */
class Refusal extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
}

const CORS = {
  "Access-Control-Allow-Origin": "*", // the caller proves itself by its token, never by a cookie
  "Access-Control-Allow-Methods": "POST, OPTIONS",
  "Access-Control-Allow-Headers": "authorization, x-client-info, apikey, content-type",
  "Access-Control-Max-Age": "86400", // one preflight a day
};
const MAX_BODY_CHARS = 16_384; // a signed address has about 600; nothing else in the body is long
const MAX_SESSION_ID_CHARS = 200; // as the API has it

export function readConfig(env: { get(name: string): string | undefined } = Deno.env): Config {
  const need = (name: string): string => {
    const value = env.get(name);
    if (!value) {
      throw new Refusal(500, "setup_error", `${name} is not set; set it with: supabase secrets set ${name}=…`);
    }
    return value;
  };
  return {
    supabaseUrl: need("SUPABASE_URL"),
    supabaseAnonKey: need("SUPABASE_ANON_KEY"),
    apiUrl: need("VIBEINSIGHT_API_URL").replace(/\/+$/, ""),
    apiKey: need("VIBEINSIGHT_API_KEY"),
    timeoutMs: 10_000, // the API answers in milliseconds; a sleeping machine wakes within a few seconds
    retryAfterMs: 1_000,
    signedUrlExpiresS: 6 * 3600, // outlives a busy queue and every attempt of the download stage
  };
}

export async function handle(request: Request, config?: Config): Promise<Response> {
  try {
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: CORS });
    if (request.method !== "POST") throw new Refusal(405, "method_not_allowed", "Send a POST request");
    return await trigger(request, config ?? readConfig());
  } catch (error) {
    return refuse(error);
  }
}

async function trigger(request: Request, config: Config): Promise<Response> {
  const token = bearerToken(request);
  const supabase = clientOf(token, config);
  const userId = await callerOf(supabase, token);
  const wanted = await readTrigger(request);
  const audioUrl = wanted.audioUrl ?? (await signedUrl(supabase, wanted.storagePath!, config));
  await startJob({ session_id: wanted.sessionId, audio_url: audioUrl, user_id: userId }, config);
  return reply(202, { message: "Processing started", session_id: wanted.sessionId, status: "processing" });
}

function bearerToken(request: Request): string {
  const token = request.headers.get("Authorization")?.match(/^Bearer\s+(\S+)$/i)?.[1];
  if (!token) throw new Refusal(401, "unauthorized", "Send the user's access token as: Authorization: Bearer …");
  return token;
}

/** A client that acts as the caller, so that Storage's row-level security decides what it may read. */
function clientOf(token: string, config: Config): SupabaseClient {
  const timed: typeof fetch = (input, init) =>
    fetch(input, { ...init, signal: init?.signal ?? AbortSignal.timeout(config.timeoutMs) });
  return createClient(config.supabaseUrl, config.supabaseAnonKey, {
    global: { headers: { Authorization: `Bearer ${token}` }, fetch: timed },
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  });
}

async function callerOf(supabase: SupabaseClient, token: string): Promise<string> {
  const { data, error } = await supabase.auth.getUser(token);
  if (error && isAuthRetryableFetchError(error)) {
    throw new Refusal(503, "auth_unavailable", "Supabase Auth does not answer; try again in a minute");
  }
  if (error || !data.user) throw new Refusal(401, "unauthorized", "The access token is not valid; sign in again");
  return data.user.id;
}

async function readTrigger(request: Request): Promise<Trigger> {
  const text = await request.text();
  if (text.length > MAX_BODY_CHARS) throw new Refusal(413, "payload_too_large", "The body is too long");
  const body = parseObject(text);
  const sessionId = textField(body, "session_id");
  const audioUrl = textField(body, "audio_url");
  const storagePath = textField(body, "storage_path");
  if (!sessionId || sessionId.length > MAX_SESSION_ID_CHARS) {
    throw new Refusal(422, "invalid_input", `session_id must be a text of 1 to ${MAX_SESSION_ID_CHARS} characters`);
  }
  if (!audioUrl === !storagePath) {
    throw new Refusal(422, "invalid_input", "Give either audio_url or storage_path (bucket/path)");
  }
  return { sessionId, audioUrl, storagePath };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // falls through to the refusal, which says the same for text that is no JSON and JSON that is no object
  }
  throw new Refusal(400, "invalid_json", "The body must be a JSON object");
}

function textField(body: Record<string, unknown>, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value.trim() || undefined;
  throw new Refusal(422, "invalid_input", `${name} must be a text`);
}

async function signedUrl(supabase: SupabaseClient, storagePath: string, config: Config): Promise<string> {
  const [, bucket, path] = storagePath.match(/^([^/]+)\/(.+)$/) ?? [];
  if (!bucket) throw new Refusal(422, "invalid_input", "storage_path must be bucket/path");
  const { data, error } = await supabase.storage.from(bucket).createSignedUrl(path, config.signedUrlExpiresS);
  if (!error) return data.signedUrl;
  const status = "status" in error ? Number(error.status) : 500; // an answer has a status, a broken connection has none
  if (status < 500) throw new Refusal(404, "recording_not_found", "The recording is not in Storage, or not yours");
  throw new Refusal(503, "storage_unavailable", "Supabase Storage does not answer; try again in a minute");
}

/** Asks the API, and once more when it says 503. However often it is asked, the API begins a recording once. */
async function startJob(job: Record<string, string>, config: Config): Promise<void> {
  let response = await callApi(job, config);
  if (response.status === 503) {
    await response.body?.cancel();
    await new Promise((resume) => setTimeout(resume, config.retryAfterMs));
    response = await callApi(job, config);
  }
  if (!response.ok) throw await refusalOf(response);
  await response.body?.cancel();
}

async function callApi(job: Record<string, string>, config: Config): Promise<Response> {
  try {
    return await fetch(`${config.apiUrl}/process-audio`, {
      method: "POST",
      headers: { Authorization: `Bearer ${config.apiKey}`, "Content-Type": "application/json" },
      body: JSON.stringify(job),
      signal: AbortSignal.timeout(config.timeoutMs),
    });
  } catch (error) {
    console.error("The API was not reached:", error instanceof Error ? error.name : "unknown error");
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new Refusal(504, "api_timeout", "The API did not answer in time; try again, nothing is begun twice");
    }
    throw new Refusal(503, "api_unreachable", "The API cannot be reached; try again in a minute");
  }
}

/** The API's own words where they are about the request; ours where they are about our key or its trouble. */
async function refusalOf(response: Response): Promise<Refusal> {
  const problem = await response.json().catch(() => ({})) as { code?: string; detail?: string };
  const aboutTheRequest = [400, 404, 409, 413, 422].includes(response.status);
  if (aboutTheRequest) {
    return new Refusal(response.status, problem.code ?? "refused", problem.detail ?? "The API refused the request");
  }
  console.error(`The API answered ${response.status} (${problem.code ?? "no code"})`);
  if (response.status === 401 || response.status === 403) {
    return new Refusal(500, "setup_error", "The API does not accept this function's key; set VIBEINSIGHT_API_KEY anew");
  }
  if ([429, 503].includes(response.status)) {
    return new Refusal(503, "api_busy", "The API is busy; try again in a minute");
  }
  return new Refusal(502, "api_error", "The API failed; try again later");
}

function refuse(error: unknown): Response {
  if (error instanceof Refusal) return reply(error.status, { code: error.code, message: error.message });
  console.error("Unexpected:", error instanceof Error ? error.name : "unknown error");
  return reply(500, { code: "internal_error", message: "The request could not be handled" });
}

function reply(status: number, body: Record<string, string>): Response {
  return Response.json(body, { status, headers: CORS });
}

// Not true when a test imports this file.
if (import.meta.main) Deno.serve((request) => handle(request));
