// The playground's server, as the page calls it.

export class Trouble extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const RECONNECT = 2000;

export async function read(path) {
  return answerOf(await fetch(path, { headers: { accept: "application/json" } }));
}

export async function act(name, body) {
  return answerOf(await fetch(`/web/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }));
}

async function answerOf(response) {
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = { error: text };
  }
  if (!response.ok) throw new Trouble(body.error ?? response.statusText, response.status);
  return body;
}

export function onChange(changed, connection) {
  const source = new EventSource("/web/events");
  source.onmessage = changed;
  source.onopen = () => connection(true);
  source.onerror = () => {
    connection(false);
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => onChange(changed, connection), RECONNECT);
    changed();
  };
}
