/**
 * Clients of a device: who hung or misbehaved, and who is made to pay for it (include/drm/gpu_scheduler.h, C5.9, T-2).
 */
import { type KernelObject, instruction, note } from '../machine.ts';
import { type Kept, flag, table } from '../schema.ts';

const fields = { clients: table({ misbehaved: flag }) };
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    /** A client sees a timeout, a reset error or a lost job. */
    punished: { client: string; guilty: boolean; how: string };
  }
}
const onClient = ({ client }: { client: string }): [['clients', string]] => [['clients', client]];

/** This client broke the rules of the game: its work hangs, or it wrote where it should not. */
export const misbehaves = instruction('misbehaves', (client: string, how: string) => ({ client, how }), {
  text: ({ client, how }) => `/* ${client} ${how} */`,
  touches: onClient,
  run: (kernel, _me, { client }) => {
    (kernel.clients[client] as { misbehaved: boolean }).misbehaved = true;
  },
});

/** This client is made to pay: its fence gets an error, its queue is reset, its job is lost. */
export const punish = instruction('punish', (client: string, how: string) => ({ client, how }), {
  text: ({ client, how }) => `${how} /* ${client} pays */`,
  touches: onClient,
  run: (kernel, me, { client, how }) =>
    note(kernel, me, {
      kind: 'punished',
      client,
      how,
      guilty: (kernel.clients[client] as { misbehaved: boolean }).misbehaved,
    }),
});

export const client: KernelObject = { schema: fields, ops: [misbehaves, punish] };
