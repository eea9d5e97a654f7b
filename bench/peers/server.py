"""FastAPI + redis-py + uvicorn: reads the body, SETs it in Redis, answers when Redis has answered."""

import os
import uuid

import redis.asyncio
from fastapi import FastAPI, Request

app = FastAPI()
store = redis.asyncio.Redis(unix_socket_path=os.environ["REDIS_SOCKET"])


@app.post("/v1/records", status_code=201)
async def post_record(request: Request):
    record_id = uuid.uuid4().hex
    await store.set("record:" + record_id, await request.body())
    return {"id": record_id}
