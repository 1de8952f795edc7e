// The official client, driven by lines of JSON on standard input; what happens is told by lines of JSON on standard output.
//
//   {"id": "a", "do": "chat", "options": {"maxRetries": 0}, "body": {…}}     also "models"; options of the client
//   {"id": "a", "do": "stream", …}
//   {"id": "a", "do": "abort"}
//
//   {"id": "a", "event": "token"}                      for each but the empty ones
//   {"id": "a", "event": "end", "text": "…", "ms": 12} whole, as far as the client can tell
//   {"id": "a", "event": "error", "text": "what came before", "error": {"name", "status", "code", "message", "retry"}, "ms"}
//   {"id": "a", "event": "aborted", "at": seconds}     right after the abort; the call itself ends as one of the above
import OpenAI from 'openai';
import { createInterface } from 'node:readline';

const baseURL = process.argv[2];
const underWay = new Map();

const tell = (id, event, more) => process.stdout.write(JSON.stringify({ id, event, ...more }) + '\n');

async function call({ id, do: what, options, body }) {
  const controller = new AbortController();
  underWay.set(id, controller);
  const began = performance.now();
  const ms = () => performance.now() - began;
  let text = '';
  try {
    const client = new OpenAI({ apiKey: 'none', baseURL, ...options });
    const { signal } = controller;
    if (what === 'models') {
      for await (const model of await client.models.list({ signal })) text += model.id;
    } else if (what === 'chat') {
      text = (await client.chat.completions.create(body, { signal })).choices[0].message.content;
    } else {
      const stream = await client.chat.completions.create({ ...body, stream: true }, { signal });
      for await (const chunk of stream) {
        const piece = chunk.choices[0]?.delta?.content;
        if (!piece) continue;
        text += piece;
        tell(id, 'token');
      }
    }
    tell(id, 'end', { text, ms: ms() });
  } catch (error) {
    const { name, status, code, message, headers } = error;
    tell(id, 'error', {
      text,
      ms: ms(),
      error: { name: error.constructor?.name ?? name, status, code, message, retry: headers?.get?.('x-should-retry') },
    });
  } finally {
    underWay.delete(id);
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  if (command.do !== 'abort') return void call(command);
  underWay.get(command.id).abort();
  tell(command.id, 'aborted', { at: Date.now() / 1000 });
}).on('close', () => process.exit(0));
