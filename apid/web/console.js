// The console: shows lines and events, and lets one try a phone. Talks to the interface only.
"use strict";

const EVENTS_SHOWN = 200;
const RETRY_MS = 1000;
const el = (id) => document.getElementById(id);
const lines = new Map();
let token = sessionStorage.getItem("token") || "";
let trouble;

// --- asking ---------------------------------------------------------------------------------

async function ask(method, path, body) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 401) el("access").hidden = false;
  const text = await response.text();
  const json = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error((json && (json.detail || json.title)) || response.statusText);
  return json;
}

function complain(error) {
  const box = el("trouble");
  box.textContent = error.message;
  box.hidden = false;
  clearTimeout(trouble);
  trouble = setTimeout(() => { box.hidden = true; }, 5000);
}

const attempt = (work) => Promise.resolve().then(work).catch(complain);

// A browser cannot give a WebSocket a header: it shows a ticket instead, once.
async function socket(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (token) url.searchParams.set("ticket", (await ask("POST", "v1/tickets")).ticket);
  return new WebSocket(url);
}

// --- lines ----------------------------------------------------------------------------------

function button(label, work) {
  const made = document.createElement("button");
  made.textContent = label;
  made.addEventListener("click", () => attempt(work));
  return made;
}

function card(line) {
  const made = el("line").content.cloneNode(true).firstElementChild;
  const base = `v1/lines/${encodeURIComponent(line.id)}`;
  made.querySelector("h3").textContent = line.name === line.id ? `${line.id} (${line.kind})` : `${line.id}: ${line.name} (${line.kind})`;
  const buttons = made.querySelector(".buttons");
  buttons.append(
    button("Ring", () => ask("POST", `${base}/ring`, {})),
    button("Stop", () => ask("DELETE", `${base}/ring`)),
    button("Tone", () => ask("POST", `${base}/play`, { tone: { frequency_hz: [440], duration_ms: 2000 } })),
    button("Hold", () => ask("POST", `${base}/hold`, {})),
    button("Hang up", () => ask("POST", `${base}/hangup`)),
  );
  if (line.kind === "sim") {
    const sim = `v1/sim/${encodeURIComponent(line.id)}`;
    const digits = document.createElement("input");
    digits.className = "digits";
    digits.placeholder = "digits";
    digits.setAttribute("aria-label", `Digits for line ${line.id}`);
    const listen = button("Listen", () => listenTo(`${sim}/audio`, listen));
    buttons.append(
      document.createElement("br"),
      button("Lift", () => ask("POST", `${sim}/hook`, { off: true })),
      button("Put down", () => ask("POST", `${sim}/hook`, { off: false })),
      button("Flash", () => ask("POST", `${sim}/flash`, {})),
      digits,
      button("Dial", () => ask("POST", `${sim}/dial`, { digits: digits.value })),
      listen,
    );
  }
  el("lines").append(made);
  for (const id of ["from", "to"]) el(id).append(new Option(line.id, `line:${line.id}`));
  return made;
}

function show(line) {
  if (!lines.has(line.id)) lines.set(line.id, card(line));
  const made = lines.get(line.id);
  made.dataset.state = line.state;
  made.querySelector(".state").textContent = line.phase ? `${line.state}, ${line.phase}` : line.state;
  const facts = [`hook ${line.hook}`];
  if (line.registered !== null) facts.push(line.registered ? "registered" : "not registered");
  if (line.last_digit) facts.push(`last digit ${line.last_digit}`);
  if (line.voice) facts.push("speaks");
  facts.push(`says ${line.rx_level_dbm0.toFixed(0)}, hears ${line.tx_level_dbm0.toFixed(0)} dBm0`);
  made.querySelector(".facts").textContent = facts.join(" · ");
}

function showCall(call) {
  const item = document.createElement("li");
  item.textContent = `${call.from} → ${call.to}: ${call.state}${call.cause ? ` (${call.cause.text})` : ""} `;
  if (call.state !== "ended") item.append(button("End", () => ask("DELETE", `v1/calls/${encodeURIComponent(call.id)}`)));
  return item;
}

async function refresh() {
  const [{ lines: all }, { calls }] = await Promise.all([ask("GET", "v1/lines"), ask("GET", "v1/calls")]);
  all.forEach(show);
  el("calls").replaceChildren(...calls.slice(0, 10).map(showCall));
  const ready = await fetch("readyz").then((response) => response.json());
  el("health").textContent = ready.ready ? "ready" : `not ready: ${ready.reasons.join("; ")}`;
}

// Many events come together; one look at the lines answers for all of them.
let due = null;
function refreshSoon() {
  if (due) return;
  due = setTimeout(() => { due = null; attempt(refresh); }, 150);
}

// --- events ---------------------------------------------------------------------------------

let lastSeq = 0;

function note(event) {
  if (event.seq) lastSeq = event.seq;
  const { type, timestamp, line, seq, call_id: callId, call, ...rest } = event;
  const item = document.createElement("li");
  if (seq) item.value = seq;
  const about = [timestamp ? timestamp.slice(11, 23) : "", line ? `line ${line}` : "", type, JSON.stringify(rest)];
  item.textContent = about.filter(Boolean).join("  ");
  const list = el("events");
  list.prepend(item);
  while (list.children.length > EVENTS_SHOWN) list.lastElementChild.remove();
  refreshSoon();
}

async function follow() {
  try {
    const feed = await socket(`v1/events?since=${lastSeq}`);
    feed.onopen = () => { el("feed").textContent = "live"; refreshSoon(); };
    feed.onmessage = (message) => note(JSON.parse(message.data));
    feed.onclose = () => { el("feed").textContent = "waiting"; setTimeout(follow, RETRY_MS); };
  } catch (error) {
    el("feed").textContent = error.message;
    setTimeout(follow, RETRY_MS * 5);
  }
}

// --- the earpiece ---------------------------------------------------------------------------

let ear = null;

async function listenTo(path, pressed) {
  if (ear) {
    const same = ear.pressed === pressed;
    ear.feed.close();
    if (same) return;
  }
  const audio = new AudioContext();
  const feed = await socket(path);
  feed.binaryType = "arraybuffer";
  ear = { feed, pressed };
  const mine = ear;
  let next = 0;
  pressed.textContent = "Listening";
  feed.onmessage = (message) => {
    if (typeof message.data === "string") return;
    const samples = new Int16Array(message.data);
    const buffer = audio.createBuffer(1, samples.length, 8000);
    buffer.getChannelData(0).set(Float32Array.from(samples, (sample) => sample / 32768));
    const source = audio.createBufferSource();
    source.buffer = buffer;
    source.connect(audio.destination);
    // 60 ms ahead; what is later than that starts anew, so delay never grows.
    if (next < audio.currentTime || next > audio.currentTime + 0.3) next = audio.currentTime + 0.06;
    source.start(next);
    next += buffer.duration;
  };
  feed.onclose = () => {
    pressed.textContent = "Listen";
    audio.close();
    if (ear === mine) ear = null;
  };
}

// --- start ----------------------------------------------------------------------------------

el("access").addEventListener("submit", (submit) => {
  submit.preventDefault();
  token = el("token").value;
  sessionStorage.setItem("token", token);
  el("access").hidden = true;
  attempt(refresh);
});
el("call").addEventListener("submit", (submit) => {
  submit.preventDefault();
  attempt(() => ask("POST", "v1/calls", { from: el("from").value, to: el("to").value }));
});
attempt(refresh);
setInterval(() => { if (!document.hidden) attempt(refresh); }, 3000);
follow();
