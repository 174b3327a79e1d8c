/** A worker in this thread, asked like one in another. */
import type { Worker } from './member.ts';
import type { Hand } from './together.ts';

export const handOf = (worker: Worker): Hand => ({
  use: async (...given) => worker.use(...given),
  move: async (...given) => worker.move(...given),
  begin: async () => worker.begin(),
  expand: async (known) => worker.expand(known),
  turn: async () => worker.turn(),
  give: async (...given) => worker.give(...given),
  take: async (parcel) => worker.take(parcel),
});
