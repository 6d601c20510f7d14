// A service in Node as a backend team would write it: @grpc/grpc-js and pg, one transaction for each call that writes,
// records as JSON beside the columns that queries need. It checks little, and settles and searches nothing.
//
// node node.js PROTO_DIR DATABASE_URL: serves on a free port of 127.0.0.1, which it prints.
const { randomUUID } = require('crypto');
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');
const { Pool } = require('pg');

const [protos, connectionString] = process.argv.slice(2);
const pool = new Pool({ connectionString, max: 16 });

const files = ['article', 'ingest', 'meeting', 'participant'].map((noun) => `readout/v1/${noun}_service.proto`);
const loaded = loadSync(files, {
  includeDirs: [protos, `${protos}/third_party`],
  keepCase: true,
  arrays: true,
  longs: String,
  enums: String,
});
const { ArticleService, IngestService, MeetingService, ParticipantService } = grpc.loadPackageDefinition(loaded).readout.v1;

async function transaction(work) {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const answer = await work(client);
    await client.query('commit');
    return answer;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

const failure = (code, message) => Object.assign(new Error(message), { code });

const unary = (answer) => (call, done) =>
  answer(call.request).then(
    (response) => done(null, response),
    (error) => done({ code: Number.isInteger(error.code) ? error.code : grpc.status.INTERNAL, message: error.message }),
  );

// Inserts rows in one prepared statement. A statement is prepared for each number of rows.
function insert(client, table, columns, rows) {
  if (rows.length === 0) return undefined;
  const row = (_, at) => `(${columns.map((_, column) => `$${at * columns.length + column + 1}`)})`;
  const text = `insert into ${table} (${columns}) values ${rows.map(row)}`;
  return client.query({ name: `${table} ${rows.length}`, text, values: rows.flat() });
}

const events = (client, names) => insert(client, 'event', ['kind', 'name'], names.map((name) => ['CREATED', name]));

const articles = (client, records) =>
  insert(client, 'article', ['id', 'uri', 'doc'], records.map((article) => [
    article.name.slice('articles/'.length), article.uri, JSON.stringify(article),
  ]));

const participants = (client, records) =>
  insert(client, 'participant', ['id', 'kind', 'region', 'display_name', 'doc'], records.map((participant) => [
    participant.name.slice('participants/'.length), participant.kind, participant.region_code, participant.display_name,
    JSON.stringify(participant),
  ]));

async function meetings(client, article, records) {
  const id = (meeting) => meeting.name.slice('meetings/'.length);
  await insert(client, 'meeting', ['id', 'kind', 'status', 'title', 'article', 'doc'], records.map((meeting) => [
    id(meeting), meeting.account.kind, meeting.account.status, meeting.account.title,
    article.slice('articles/'.length), JSON.stringify(meeting),
  ]));
  await insert(client, 'participation', ['meeting', 'n', 'participant', 'region', 'presence'],
    records.flatMap((meeting) => meeting.account.participations.map((participation, n) => [
      id(meeting), n, participation.participant?.slice('participants/'.length) ?? null, participation.region_code,
      participation.presence,
    ])));
  await insert(client, 'statement', ['meeting', 'n', 'text'],
    records.flatMap((meeting) => meeting.account.statements.map((statement, n) => [id(meeting), n, statement.text])));
}

async function read(table, name) {
  const query = { name: `get ${table}`, text: `select doc from ${table} where id = $1`, values: [name.split('/')[1]] };
  const { rows } = await pool.query(query);
  if (rows.length === 0) throw failure(grpc.status.NOT_FOUND, `${name} does not exist`);
  return rows[0].doc;
}

const server = new grpc.Server();

server.addService(ArticleService.service, {
  CreateArticle: unary(async ({ article }) => {
    article.name = `articles/${randomUUID()}`;
    await transaction((client) => articles(client, [article]));
    return article;
  }),
});

server.addService(ParticipantService.service, {
  CreateParticipant: unary(async ({ participant }) => {
    if (!participant.display_name) throw failure(grpc.status.INVALID_ARGUMENT, 'display_name is required');
    participant.name = `participants/${randomUUID()}`;
    await transaction(async (client) => {
      await participants(client, [participant]);
      await events(client, [participant.name]);
    });
    return participant;
  }),
  GetParticipant: unary(({ name }) => read('participant', name)),
});

server.addService(MeetingService.service, {
  CreateMeeting: unary(async ({ meeting, source_article }) => {
    meeting.name = `meetings/${randomUUID()}`;
    await transaction(async (client) => {
      await meetings(client, source_article, [meeting]);
      await events(client, [meeting.name]);
    });
    return meeting;
  }),
  GetMeeting: unary(({ name }) => read('meeting', name)),
  ListMeetings: unary(async ({ filter, page_size }) => {
    const region = /^region = "(\w+)"$/.exec(filter)[1];
    const { rows } = await pool.query({
      name: 'list',
      text: `select doc from meeting where exists
             (select from participation where meeting = meeting.id and region = $1) order by id limit $2`,
      values: [region, page_size + 1],
    });
    return { meetings: rows.slice(0, page_size).map((row) => row.doc) };
  }),
});

server.addService(IngestService.service, {
  IngestStory: unary(async ({ story }) => {
    const { article } = story;
    article.name = `articles/${randomUUID()}`;
    const named = new Map();
    const made = [];
    const told = story.reports.map((report) => ({ name: `meetings/${randomUUID()}`, account: report.account }));
    await transaction(async (client) => {
      const names = story.participants.map(({ participant }) => participant.display_name);
      const query = { name: 'known', text: 'select id, display_name from participant where display_name = any($1)' };
      const { rows } = await client.query({ ...query, values: [names] });
      const known = new Map(rows.map((row) => [row.display_name, `participants/${row.id}`]));
      for (const { key, participant } of story.participants) {
        participant.name = known.get(participant.display_name);
        if (!participant.name) {
          participant.name = `participants/${randomUUID()}`;
          made.push(participant);
        }
        named.set(`#${key}`, participant.name);
      }
      for (const { account } of told) {
        for (const participation of account.participations) {
          participation.participant = named.get(participation.participant) ?? participation.participant;
        }
      }
      await articles(client, [article]);
      await participants(client, made);
      await meetings(client, article.name, told);
      await events(client, [article, ...made, ...told].map((record) => record.name));
    });
    return {
      article: article.name,
      article_outcome: 'CREATED',
      participants: story.participants.map(({ key, participant }) => ({
        key, name: participant.name, outcome: made.includes(participant) ? 'CREATED' : 'MATCHED',
      })),
      meetings: story.reports.map(({ key }, n) => ({ key, meeting: told[n].name, outcome: 'CREATED' })),
    };
  }),
});

server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`127.0.0.1:${port}`);
});
