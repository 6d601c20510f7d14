"""A service in Python as a backend team would write it: grpc.aio and asyncpg, one transaction for each call that writes,
records as protobuf beside the columns that queries need. It checks little, and settles and searches nothing.

python python.py GENERATED_DIR DATABASE_URL: serves on a free port of 127.0.0.1, which it prints.
"""

import asyncio
import re
import sys
from uuid import UUID, uuid4

import asyncpg
import grpc

GENERATED, URL = sys.argv[1:]
sys.path.insert(0, GENERATED)

from readout.v1 import (  # noqa: E402
    article_service_pb2_grpc,
    meeting_pb2,
    meeting_service_pb2,
    meeting_service_pb2_grpc,
    participant_pb2,
    participant_service_pb2_grpc,
)


def id_of(name):
    return UUID(name.split("/")[1])


class Base:
    def __init__(self, pool):
        self.pool = pool

    async def event(self, connection, name):
        await connection.execute("insert into event (kind, name) values ('CREATED', $1)", name)

    async def read(self, table, name, context):
        doc = await self.pool.fetchval(f"select doc from {table} where id = $1", id_of(name))
        if doc is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"{name} does not exist")
        return doc


class Articles(Base, article_service_pb2_grpc.ArticleServiceServicer):
    async def CreateArticle(self, request, context):
        article, key = request.article, uuid4()
        article.name = f"articles/{key}"
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "insert into article (id, uri, doc) values ($1, $2, $3)",
                key, article.uri, article.SerializeToString(),
            )
        return article


class Participants(Base, participant_service_pb2_grpc.ParticipantServiceServicer):
    async def CreateParticipant(self, request, context):
        participant, key = request.participant, uuid4()
        if not participant.display_name:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "display_name is required")
        participant.name = f"participants/{key}"
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "insert into participant (id, kind, region, display_name, doc) values ($1, $2, $3, $4, $5)",
                key, str(participant.kind), participant.region_code, participant.display_name,
                participant.SerializeToString(),
            )
            await self.event(connection, participant.name)
        return participant

    async def GetParticipant(self, request, context):
        return participant_pb2.Participant.FromString(await self.read("participant", request.name, context))


class Meetings(Base, meeting_service_pb2_grpc.MeetingServiceServicer):
    async def CreateMeeting(self, request, context):
        meeting, key = request.meeting, uuid4()
        account = meeting.account
        meeting.name = f"meetings/{key}"
        participations = [
            (key, n, id_of(participation.participant), participation.region_code, str(participation.presence))
            for n, participation in enumerate(account.participations)
        ]
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "insert into meeting (id, kind, status, title, article, doc) values ($1, $2, $3, $4, $5, $6)",
                key, str(account.kind), str(account.status), account.title, id_of(request.source_article),
                meeting.SerializeToString(),
            )
            await connection.executemany("insert into participation values ($1, $2, $3, $4, $5)", participations)
            await connection.executemany(
                "insert into statement values ($1, $2, $3)",
                [(key, n, statement.text) for n, statement in enumerate(account.statements)],
            )
            await self.event(connection, meeting.name)
        return meeting

    async def GetMeeting(self, request, context):
        return meeting_pb2.Meeting.FromString(await self.read("meeting", request.name, context))

    async def ListMeetings(self, request, context):
        region = re.fullmatch(r'region = "(\w+)"', request.filter)[1]
        rows = await self.pool.fetch(
            "select doc from meeting where exists"
            " (select from participation where meeting = meeting.id and region = $1) order by id limit $2",
            region, request.page_size + 1,
        )
        meetings = [meeting_pb2.Meeting.FromString(row["doc"]) for row in rows[: request.page_size]]
        return meeting_service_pb2.ListMeetingsResponse(meetings=meetings)


async def main():
    pool = await asyncpg.create_pool(URL, min_size=8, max_size=8)
    server = grpc.aio.server()
    article_service_pb2_grpc.add_ArticleServiceServicer_to_server(Articles(pool), server)
    participant_service_pb2_grpc.add_ParticipantServiceServicer_to_server(Participants(pool), server)
    meeting_service_pb2_grpc.add_MeetingServiceServicer_to_server(Meetings(pool), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


asyncio.run(main())
