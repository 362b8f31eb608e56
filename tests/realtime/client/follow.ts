// Follows channels with the real supabase-js and says what it sees, one JSON line each.
// First line in: {url, key, channels: {name: filter}, token}. Later lines: {token} brings a new one.
import { createClient } from "@supabase/supabase-js";

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
let rest = "";
let token: string | null = null;

const say = (what: object) => console.log(JSON.stringify(what));

async function* read() {
  for await (const piece of lines) {
    const parts = (rest + piece).split("\n");
    rest = parts.pop() ?? "";
    yield* parts.map((part) => JSON.parse(part));
  }
}

const input = read();
const asked = (await input.next()).value;
token = asked.token;
const options = asked.token ? { accessToken: () => Promise.resolve(token) } : {};
const supabase = createClient(asked.url, asked.key, { ...options, auth: { persistSession: false } });
if (token) await supabase.realtime.setAuth(); // before subscribe(): the join carries the token

for (const [channel, filter] of Object.entries<string>(asked.channels)) {
  const wanted = { event: "INSERT", schema: "public", table: "job_progress" } as const;
  supabase
    .channel(channel)
    .on("postgres_changes", filter ? { ...wanted, filter } : wanted, (change) => {
      say({ kind: "row", channel, row: change.new, change: { ...change, new: undefined } });
    })
    .on("system", {}, (told) => say({ kind: "system", channel, status: told.status, message: told.message }))
    .subscribe((status, error) => say({ kind: "status", channel, status, error: error?.message }));
}

for await (const line of input) {
  token = line.token;
  await supabase.realtime.setAuth();
}
