/**
 * Verify mode: what was learned about a state is compared with what the plain reducer says, on plain objects.
 *
 * This catches an instruction that is not a function of the state it reads, which no recording can see.
 */
import { choicesOf } from '../../model/case.ts';
import { type KernelState, type Machine, open, reduce } from '../../model/machine.ts';
import { canonical } from '../../model/schema.ts';
import { type Learned, apply } from './learned.ts';

/**
 * Compare every thread's turn, and every way's effect and facts, in the state at `words[at]`.
 * @throws naming the thread and what differs
 */
export function verifyState(machine: Machine, learned: Learned, words: Uint16Array, at: number): void {
  const { packing, threads } = learned;
  threads.forEach((thread, threadAt) => {
    const plain = packing.unpack<KernelState>(words, at);
    const turn = learned.turn(threadAt, words, at);
    const now = open(machine, plain, thread);
    differ(`thread ${thread}: what it is open for`, turn.open, now);
    const choices = choicesOf(thread, now);
    differ(
      `thread ${thread}: its ways`,
      turn.ways.map(({ outcome }) => outcome),
      choices.map(({ outcome }) => outcome),
    );
    for (const way of turn.ways) {
      const after = structuredClone(plain);
      reduce(machine, after, way);
      const candidate = words.slice(at, at + packing.width);
      apply(way, candidate, 0);
      const label = `thread ${thread}, ${way.outcome || 'its step'} at ${way.line}`;
      differ(`${label}: facts`, way.facts, after.facts);
      const packed = packing.pack(after);
      packed.forEach((id, slot) => {
        if (id !== candidate[slot])
          differ(
            `${label}: ${packing.slots[slot]?.path.join('.')}`,
            packing.value(slot, candidate[slot] as number),
            packing.value(slot, id),
          );
      });
    }
  });
}

function differ(what: string, learned: unknown, plain: unknown): void {
  if (canonical(learned) !== canonical(plain))
    throw new Error(
      `not a function of the state it reads: ${what} was learned as ${canonical(learned)} and is now ${canonical(plain)}`,
    );
}
