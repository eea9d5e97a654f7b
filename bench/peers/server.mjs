// fastify + ioredis: SETs the body in Redis, answers when Redis has answered. With S3_ENDPOINT it
// then PUTs the body into a bucket in the background (@aws-sdk/client-s3) and deletes the key, as an
// archiver would. One process a core.
import cluster from 'node:cluster';
import crypto from 'node:crypto';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';

// The packages are where npm put them, which is not beside this file.
const require = createRequire(process.env.PACKAGES + '/package.json');

function makeArchive(store) {
  const { S3Client, PutObjectCommand } = require('@aws-sdk/client-s3');
  const s3 = new S3Client({
    endpoint: process.env.S3_ENDPOINT,
    region: process.env.S3_REGION,
    forcePathStyle: true,
    credentials: {
      accessKeyId: process.env.S3_ACCESS_KEY,
      secretAccessKey: process.env.S3_SECRET_KEY,
    },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  return async (id, body) => {
    try {
      await s3.send(new PutObjectCommand({ Bucket: process.env.S3_BUCKET, Key: id, Body: body }));
      await store.del('record:' + id);
    } catch (error) {
      console.error(`${id} is not archived: ${error}`);
    }
  };
}

async function serve() {
  const { Redis } = require('ioredis');
  const store = new Redis({ path: process.env.REDIS_SOCKET });
  const archive = process.env.S3_ENDPOINT ? makeArchive(store) : undefined;
  const app = require('fastify')({ bodyLimit: 8 << 20 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => done(null, body));
  app.post('/v1/records', async (request, reply) => {
    const id = crypto.randomUUID();
    await store.set('record:' + id, request.body);
    archive?.(id, request.body);
    reply.code(201);
    return { id };
  });
  await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
}

if (cluster.isPrimary) {
  for (let core = 0; core < availableParallelism(); ++core) cluster.fork();
  cluster.on('exit', () => process.exit(1));
} else {
  await serve();
}
