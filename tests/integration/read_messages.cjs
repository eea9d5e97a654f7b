// Reads GET /messages as the readers it was made for: the body is an array, and each element a
// message. Follows rel=next while there is one; a line of JSON for each page, with the number of
// its messages and what they are.
//
//   node read_messages.cjs URL
'use strict';

const crypto = require('crypto');

const linkTo = (answer, relation) => {
  for (const one of (answer.headers.get('link') || '').split(/,\s*(?=<)/)) {
    const match = /^<([^>]*)>\s*;\s*rel="?([^";]*)"?/.exec(one);
    if (match && match[2].split(' ').includes(relation)) return match[1];
  }
  return null;
};

// Large messages by their digest, so that a line stays short.
const brief = (message) => {
  const text = JSON.stringify(message);
  if (text.length < 10000) return message;
  return { sha256: crypto.createHash('sha256').update(text).digest('hex') };
};

const main = async () => {
  let url = process.argv[2];
  while (url) {
    const answer = await fetch(url);
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
    const messages = [];
    JSON.parse(text).forEach((record) => {
      messages.push(brief(record));
    });
    const next = linkTo(answer, 'next');
    const later = linkTo(answer, 'monitor');
    process.stdout.write(JSON.stringify({ messages, bytes: text.length, more: next !== null, later }) + '\n');
    url = next && new URL(next, url).href;
  }
};

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
