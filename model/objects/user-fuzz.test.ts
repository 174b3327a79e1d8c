/**
 * User processes and clients against two lists: what each has yet to call, in order, and who misbehaved before he was made
 * to pay (T-2, C5.9).
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, bouts } from '../bout.ts';
import { follow } from '../case.ts';
import { ioctl, parseCall } from '../design.ts';
import type { KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import { in_user_space, misbehaves, punish, showCall, user, witness } from './index.ts';

const USERS = ['app', 'game'] as const;
const CLIENTS = ['a', 'b', 'c'] as const;
const booted = bootKernel({
  objects: { clients: Object.fromEntries(CLIENTS.map((client) => [client, {}])) },
  routines: { exit: [witness('exits')] },
  threads: { app: user({ exit: 'exit' }), game: user() },
  calls: {
    hang: ioctl({ client: CLIENTS }, [misbehaves('$client', 'hangs')]),
    pay: ioctl({ client: CLIENTS }, [punish('$client', 'is reset')]),
    draw: ioctl({ client: CLIENTS }, [in_user_space('records'), witness('$client')]),
  },
});
type Command = readonly [
  what: 'hang' | 'pay' | 'draw' | 'turn' | 'killed',
  user: (typeof USERS)[number],
  client: string,
];
const side: Side<Command> = {
  booted,
  plays: (kernel, [what, who, client]) => {
    const row = kernel.users[who] as KernelState['users'][string];
    if (what !== 'turn' && what !== 'killed') {
      row.todo = [...row.todo, parseCall(booted, `${what}(${client})`)];
      return [];
    }
    const inside = (kernel.threads[who]?.frames.length ?? 0) > 1;
    const { choice, facts } = follow(booted.machine, kernel, what === 'turn' || inside ? who : `${who}/killed`);
    if (!choice) return ['nothing to do'];
    return facts.flatMap((fact) =>
      fact.kind === 'punished'
        ? [`${fact.client} pays, ${fact.guilty ? 'guilty' : 'innocent'}`]
        : fact.kind === 'witness'
          ? [fact.name]
          : fact.kind === 'returned'
            ? ['back']
            : [],
    );
  },
  shows: (kernel) => ({
    todo: USERS.map((each) => kernel.users[each]?.todo.map(showCall)),
    guilty: CLIENTS.filter((client) => kernel.clients[client]?.misbehaved),
  }),
};

/** `goesOn`: a process that is killed and makes its other calls all the same. */
class Lists implements Oracle<Command> {
  private readonly todo: Record<string, (readonly [string, string])[]> = { app: [], game: [] };
  /** What the call under way has yet to do, one entry a turn. */
  private readonly under: Record<string, (readonly [string, string])[]> = { app: [], game: [] };
  private readonly guilty = new Set<string>();
  private readonly goesOn: boolean;
  constructor(goesOn = false) {
    this.goesOn = goesOn;
  }
  plays([what, who, client]: Command): readonly string[] | undefined {
    const todo = this.todo[who] as (readonly [string, string])[];
    const under = this.under[who] as (readonly [string, string])[];
    if (what !== 'turn' && what !== 'killed') {
      if (todo.length > 3) return undefined;
      todo.push([what, client]);
      return [];
    }
    const step = under.shift();
    if (step) return this.does(step);
    const next = todo[0];
    if (!next) return ['nothing to do'];
    if (what === 'killed') {
      // Nothing changes by killing one that has nothing open.
      if (who === 'game') return ['nothing to do'];
      if (!this.goesOn) todo.length = 0;
      return ['exits', 'back'];
    }
    todo.shift();
    under.push(next);
    return [];
  }
  private does([call, client]: readonly [string, string]): readonly string[] {
    if (call === 'draw') return [client, 'back'];
    if (call === 'hang') this.guilty.add(client);
    return call === 'pay' ? [`${client} pays, ${this.guilty.has(client) ? 'guilty' : 'innocent'}`, 'back'] : ['back'];
  }
  shows(): unknown {
    return {
      todo: USERS.map((each) => this.todo[each]?.map(([call, client]) => `${call}(${client})`)),
      guilty: CLIENTS.filter((client) => this.guilty.has(client)),
    };
  }
}

const command: fc.Arbitrary<Command> = fc.tuple(
  fc.constantFrom('hang', 'pay', 'draw', 'turn', 'turn', 'turn', 'turn', 'killed'),
  fc.constantFrom(...USERS),
  fc.constantFrom(...CLIENTS),
);

describe('user processes and clients against lists', () => {
  test('calls come in order, a killed process makes no more of them, and who pays was guilty or was not', () => {
    expect(bouts(side, command, () => new Lists(), 20)).toBeGreaterThan(1_500);
  });
  test('a killed process that goes on is told apart', () => {
    expect(() => bouts(side, command, () => new Lists(true), 20)).toThrow(/after/);
  });
  test('100,000 commands', { tags: ['long'] }, () => {
    expect(bouts(side, command, () => new Lists(), 1_200)).toBeGreaterThan(100_000);
  });
});
