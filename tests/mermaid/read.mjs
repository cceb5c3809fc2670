// Reads diagrams with Mermaid's own parser: JSON texts, a line each, on stdin; for each a line of JSON on stdout, with what was
// read back ({actors, messages, notes, loops}) or why it was refused ({error}).

import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";

// Mermaid looks for a browser when it is loaded.
const { window } = new JSDOM("");
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false });

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await read(JSON.parse(line))));
}

async function read(text) {
  try {
    const config = await mermaid.parse(text);
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
    const lines = db.getMessages();
    const ofType = (...types) => lines.filter((line) => types.includes(line.type));
    const { SOLID, NOTE, LOOP_START } = db.LINETYPE;
    return {
      configured: Object.keys(config.config ?? {}).length > 0,
      actors: [...db.getActors().values()].map(({ name, description }) => [name, decode(description)]),
      messages: ofType(SOLID).map(({ from, to, message }) => [from, to, decode(message)]),
      notes: ofType(NOTE).map(({ message }) => decode(message)),
      loops: ofType(LOOP_START).map(({ message }) => decode(message)),
      others: lines.length - ofType(SOLID, NOTE, LOOP_START, db.LINETYPE.LOOP_END).length,
    };
  } catch (error) {
    return { error: String(error?.message ?? error) };
  }
}

// Between reading and drawing Mermaid keeps the entity #59; in a form of its own.
function decode(text) {
  return (text ?? "").replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(Number(code)));
}
