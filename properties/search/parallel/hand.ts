/** A worker in this thread, asked like one in another. */
import type { Worker } from './member.ts';
import type { Hand } from './together.ts';

export function handOf(worker: Worker): Hand {
  const ask =
    <G extends unknown[], R>(what: (...given: G) => R) =>
    async (...given: G): Promise<R> =>
      what.apply(worker, given);
  return {
    use: ask(worker.use),
    move: ask(worker.move),
    begin: ask(worker.begin),
    expand: ask(worker.expand),
    turn: ask(worker.turn),
    give: ask(worker.give),
    take: ask(worker.take),
  };
}
