// Writes to whom ioredis' Sentinel support takes for the master, until it is told to end.
//
//   NODE_PATH=…/node_modules node writer.js GROUP HOST:PORT[,HOST:PORT…] PREFIX [TOKEN [PASSWORD]]
//
// Says what writer.py says.
'use strict';

const Redis = require('ioredis');

const PAUSE_MS = 1; // between two writes

const now = () => Number(process.hrtime.bigint() / 1000n);

async function main() {
  const [group, sentinels, prefix, token, password] = process.argv.slice(2);
  const client = new Redis({
    name: group,
    sentinels: sentinels.split(',').map((each) => {
      const colon = each.lastIndexOf(':');
      return { host: each.slice(0, colon), port: Number(each.slice(colon + 1)) };
    }),
    sentinelPassword: token || undefined,
    password: password || undefined,
  });
  client.on('error', () => {}); // each write that fails says so itself
  for (let number = 1; ; ++number) {
    const begin = now();
    try {
      await client.set(prefix + number, number);
      console.log(`ack ${begin} ${now()} ${client.stream.remotePort} ${number}`);
    } catch (error) {
      console.log(`err ${begin} ${now()} ${String(error).split(/\s+/).join(' ')}`);
    }
    await new Promise((go) => setTimeout(go, PAUSE_MS));
  }
}

main();
