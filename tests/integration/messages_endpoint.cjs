// A pull-out endpoint as the pipeline's original has it: GET /messages?timestamp=SECONDS is an array
// of what came since then, all of it, without a Link. A new message comes every 20 ms, up to COUNT.
// Every question is a line of the output.
//
//   PORT=3000 COUNT=100 node messages_endpoint.cjs
'use strict';

const http = require('http');

const messages = [];
const coming = setInterval(() => {
  messages.push({ id: messages.length, timestamp: Date.now(), message: 'm' });
  if (messages.length === Number(process.env.COUNT)) clearInterval(coming);
}, 20);

http.createServer((request, response) => {
  process.stdout.write(`${request.method} ${request.url}\n`);
  const url = new URL(request.url, 'http://127.0.0.1');
  const since = Number(url.searchParams.get('timestamp')) * 1000;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(messages.filter((message) => message.timestamp >= since - 1000)));
}).listen(Number(process.env.PORT), '127.0.0.1');
