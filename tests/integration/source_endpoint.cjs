// A source as the pipeline's original has it, which is not ours to change: it keeps no message, and
// each GET /messages gives the next ones. Its ids begin with 0.
//
//   PORT=3000 BATCH_SIZE=10 node source_endpoint.cjs
'use strict';

const http = require('http');

const batchSize = Number(process.env.BATCH_SIZE || 10);
let given = 0;

http.createServer((request, response) => {
  if (request.url !== '/messages') {
    response.end('OK');
    return;
  }
  const batch = [];
  for (const end = given + batchSize; given < end; given += 1) {
    const timestamp = Date.now();
    batch.push({ id: given, timestamp, message: timestamp.toString(16) });
  }
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(batch));
}).listen(Number(process.env.PORT), '127.0.0.1');
