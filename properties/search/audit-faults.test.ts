/**
 * Faults of the engine, planted one at a time, and the audit that has to catch them: in what a search remembers, in what
 * it reads, in what it takes for independent or for equal, in how it came there, in what it judges.
 *
 * A fault is caught when the search itself refuses to go on, or when the audit disagrees with its verdict. Some faults
 * change nothing on some systems: then the verdict is the true one. What may never happen is a wrong verdict that
 * passes the audit.
 */
import { describe, expect, test } from 'vitest';
import { type Booted, type Knobs, boot, design, must, start } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { if_ret, mutex_lock, mutex_trylock, mutex_unlock, witness } from '../../model/objects/index.ts';
import { properties } from '../index.ts';
import { type Property, signature } from '../property.ts';
import { audit } from './audit.ts';
import { Chains } from './chains.ts';
import { explore } from './explore.ts';
import { FingerprintTable } from './fingerprints.ts';
import { Judging } from './judging.ts';
import { Learned } from './learned.ts';
import { Packing } from './packed.ts';
import { Recorder } from './recorder.ts';
import { Judgements } from './reductions/judgements.ts';
import { Knowledge } from './reductions/knowledge.ts';
import { Symmetries } from './reductions/symmetry.ts';
import { type How, searchBy } from './storage/how.ts';
import { NodeTable } from './storage/nodes.ts';
import { Parents } from './storage/parents.ts';
import { StateStore } from './store.ts';
import { type Sweep, sweep } from './sweep.ts';
import { kernelSystem } from './system.ts';
import { withFault } from './with-fault.ts';

type Method = (this: any, ...given: any[]) => unknown;
type Attacked = How['storage'] | 'depth' | 'reduced' | 'orbits';
interface Fault {
  readonly kind: string;
  readonly name: string;
  /** How the verdict is made that is to be audited. */
  readonly attacks: Attacked;
  /** The method that does something else, and what it does; `make` is called for each run, with the method as it is. */
  readonly owner: object;
  readonly method: string;
  readonly make: (real: Method) => Method;
}

function under<R>({ owner, method, make }: Fault, run: () => R): R {
  const methods = owner as Record<string, Method>;
  return withFault(methods, method, make(methods[method] as Method), run);
}

/** States are left out, all that can be or those that an exchange of members makes of others. */
const leavesOut = (attacked: Attacked): attacked is 'reduced' | 'orbits' =>
  attacked === 'reduced' || attacked === 'orbits';
/** A search for orbits is made again without when it goes round and circles are asked for, as it does when two states become one. */
const asked = (attacked: Attacked): readonly Property[] =>
  attacked === 'orbits' ? properties.map(({ circle: _circle, ...rest }) => rest) : properties;
const swept = (booted: Booted, attacked: Attacked): Sweep =>
  leavesOut(attacked)
    ? sweep(booted, asked(attacked), { reduce: attacked === 'reduced' || { symmetry: true } })
    : sweep(booted, properties, {
        search: searchBy(
          attacked === 'depth' ? { storage: 'tree', order: 'depth' } : { storage: attacked, order: 'breadth' },
        ),
      });
/** What a verdict claims. Of a reduced search that is no number of states, and no counterexample is said to be the shortest. */
const claimed = ({ states, transitions, depth, resting, findings, witnesses }: Sweep, attacked: Attacked): string =>
  JSON.stringify([
    ...(leavesOut(attacked) ? [] : [states, transitions, depth]),
    resting,
    findings
      .map(({ blame, schedule, loop }) =>
        [signature(blame), ...(leavesOut(attacked) ? [] : [schedule.length, loop?.length ?? 0])].join(' '),
      )
      .sort(),
    [...witnesses].sort(),
  ]);

type Outcome = 'refused' | 'audited' | 'harmless' | 'missed';
function outcomeOf(fault: Fault, booted: Booted, truth: string): Outcome {
  return under(fault, () => {
    let verdict: Sweep;
    try {
      verdict = swept(booted, fault.attacks);
    } catch {
      return 'refused';
    }
    const { differences } = audit(booted, asked(fault.attacks), verdict, { reduced: leavesOut(fault.attacks) });
    if (differences.length > 0) return 'audited';
    return claimed(verdict, fault.attacks) === truth ? 'harmless' : 'missed';
  });
}

const fault = (
  kind: string,
  what: string,
  attacks: Attacked,
  owner: { readonly prototype: object },
  method: string,
  make: Fault['make'],
): Fault => ({ kind, name: `${kind}: ${what}`, attacks, owner: owner.prototype, method, make });

type Otherwise = (real: Method, self: any, given: any[]) => unknown;
/** The call that comes `nth` does something else. */
const once =
  (nth: number, otherwise: Otherwise): Fault['make'] =>
  (real) => {
    let calls = 0;
    return function (this: any, ...given) {
      calls += 1;
      return calls === nth ? otherwise(real, this, given) : real.apply(this, given);
    };
  };
/** Every call does something else. */
const always =
  (otherwise: Otherwise): Fault['make'] =>
  (real) =>
    function (this: any, ...given) {
      return otherwise(real, this, given);
    };
/** The new key that comes `nth` is forgotten: nobody is told of it, and nobody remembers it. */
const unasked =
  (nth: number): Fault['make'] =>
  (real) => {
    const news = new WeakMap<object, number>();
    return function (this: object, highs, lows, n, fresh) {
      const found = real.call(this, highs, lows, n, fresh) as number;
      const before = news.get(this) ?? 0;
      news.set(this, before + found);
      const at = nth - 1 - before;
      if (at < 0 || at >= found) return found;
      (fresh as Int32Array).copyWithin(at, at + 1, found);
      return found - 1;
    };
  };

/** Some of these, evenly. */
const some = <T>(all: readonly T[], most: number): T[] =>
  all.length <= most
    ? [...all]
    : Array.from({ length: most }, (_, nth) => all[Math.floor((nth * all.length) / most)] as T);

/** The faults that are planted in the search of one system: of each sort about `most`. */
function faultsFor(booted: Booted, most: number): Fault[] {
  const asked = new Set<number>();
  const spy = fault(
    '',
    '',
    'full',
    Parents,
    'parent',
    (real) =>
      function (this: any, child: number) {
        asked.add(child);
        return real.call(this, child);
      },
  );
  const { states } = under(spy, () => swept(booted, 'full'));
  const learned = new Learned(kernelSystem(booted.machine));
  const { packing } = learned;
  explore(learned, packing.pack(start(booted, booted.workload)), { maxStates: 100_000, patient: true, edges: false });
  const { everyTurn } = learned;
  const field = (slot: number): string => packing.slots[slot]?.path.at(-1) ?? '';
  const fields = [...new Set(everyTurn.flatMap(({ reads }) => [...reads].map(field)))];
  const written = [...new Set(everyTurn.flatMap(({ writes }) => [...writes]))];
  const late = some(
    Array.from({ length: states - 1 }, (_, at) => at + 2),
    most,
  );
  const ways = some(
    everyTurn.flatMap((turn) => turn.ways.filter(({ facts }) => facts.length > 0)),
    most,
  );
  const blind = (named: string): Fault['make'] =>
    always((real, self, [slot]) => (field(slot as number) === named ? undefined : real.call(self, slot)));
  return [
    ...late.flatMap((nth) => [
      fault(
        'a dropped insert',
        `state ${nth}, in full`,
        'full',
        StateStore,
        'insert',
        once(nth, () => 0),
      ),
      fault('a dropped insert', `fingerprint ${nth}`, 'fingerprints', FingerprintTable, 'add', unasked(nth)),
      fault('a dropped insert', `root ${nth} of the tree`, 'tree', FingerprintTable, 'add', unasked(nth)),
      fault(
        'a bad canonical form',
        `pair ${nth} of the tree is the first one`,
        'tree',
        NodeTable,
        'insert',
        once(nth, () => 1),
      ),
    ]),
    ...[1, 2, 3, 4, 5, 6].map((bits) =>
      fault(
        'a truncated hash',
        `${bits} bits a lane`,
        'fingerprints',
        Packing,
        'key',
        always((real, self, given) => (real.apply(self, given) as number) & (2 ** bits - 1)),
      ),
    ),
    ...some(fields, 3 * most).flatMap((named) => [
      fault('a missed read', `of ${named}`, 'full', Recorder, 'record', blind(named)),
      fault('a missed read', `of ${named}, in a reduced search`, 'reduced', Recorder, 'record', blind(named)),
    ]),
    ...some(written, most).map((slot) =>
      fault(
        'a bad canonical form',
        `all values of ${packing.slots[slot]?.path.join('.')} are one`,
        'full',
        Packing,
        'intern',
        always((real, self, given) =>
          given[0] === slot ? Math.min(1, real.apply(self, given) as number) : real.apply(self, given),
        ),
      ),
    ),
    ...some(written, most).map((slot) =>
      fault(
        'a bad canonical form',
        `members are exchanged without ${packing.slots[slot]?.path.join('.')}`,
        'reduced',
        Symmetries,
        'apply',
        always((real, self, given) => (real.apply(self, given) as Uint16Array).map((id, at) => (at === slot ? 0 : id))),
      ),
    ),
    ...some(
      [...asked].sort((a, b) => a - b),
      2 * most,
    ).flatMap((child) => [
      fault(
        'a lost parent',
        `of state ${child + 1}`,
        'full',
        Parents,
        'parent',
        always((real, self, [of]) => (of === child ? 0 : real.call(self, of))),
      ),
      fault(
        'a lost parent',
        `the word that led to state ${child + 1}`,
        'full',
        Parents,
        'word',
        always((real, self, [of]) => real.call(self, of === child ? Math.max(0, child - 1) : of)),
      ),
    ]),
    fault(
      'a wrong independence',
      'nobody is ever able to meddle',
      'reduced',
      Knowledge,
      'meets',
      always(() => false),
    ),
    fault(
      'a wrong independence',
      'who stands still is asleep for ever',
      'reduced',
      Knowledge,
      'movable',
      always(() => false),
    ),
    fault(
      'a wrong independence',
      'no step changes what is said of another',
      'reduced',
      Judgements,
      'changes',
      always(() => false),
    ),
    ...some(fields, 3 * most).map((named) =>
      fault(
        'a wrong independence',
        `the reads of ${named} are dropped`,
        'reduced',
        Knowledge,
        'readsOf',
        always((real, self, given) => (real.apply(self, given) as number[]).filter((slot) => field(slot) !== named)),
      ),
    ),
    fault(
      'a deaf judge',
      'nobody waits for anybody who waits',
      'full',
      Chains,
      'any',
      always(() => false),
    ),
    ...ways.map((way) =>
      fault(
        'a deaf judge',
        `of ${way.thread}/${way.outcome} at ${way.line}`,
        'full',
        Judging,
        'step',
        always((real, self, given) => {
          const { thread, outcome, line } = given[0] as typeof way;
          if (thread !== way.thread || outcome !== way.outcome || line !== way.line) real.apply(self, given);
        }),
      ),
    ),
  ];
}

/** Small settings, convicted and acquitted. */
const subjects: readonly [string, Knobs][] = [
  ['canary-abba', { order: 'opposite' }],
  ['canary-signal-forgotten', { on_error: 'forgets' }],
  ['vgem-fence', { timeout: '10s', consumer: 'hangcheck' }],
  ['vgem-fence', { timeout: 'none', consumer: 'hangcheck' }],
  ['cross-release', { drivers: 'fixed', machine: 'one_card' }],
];
const bootedFor = ([name, knobs]: (typeof subjects)[number]): Booted =>
  boot(designs.find((each) => each.name === name) as (typeof designs)[number], knobs);

/** How each fault of each sort ended. */
function planted(chosen: readonly (typeof subjects)[number][], most: number) {
  const ends = new Map<string, Record<Outcome, number>>();
  const missed: string[] = [];
  for (const subject of chosen) {
    const booted = bootedFor(subject);
    const truths = new Map<Attacked, string>();
    for (const each of faultsFor(booted, most)) {
      const truth = truths.get(each.attacks) ?? claimed(swept(booted, each.attacks), each.attacks);
      truths.set(each.attacks, truth);
      const outcome = outcomeOf(each, booted, truth);
      const count = ends.get(each.kind) ?? { refused: 0, audited: 0, harmless: 0, missed: 0 };
      ends.set(each.kind, { ...count, [outcome]: count[outcome] + 1 });
      if (outcome === 'missed') missed.push(`${subject[0]}: ${each.name}`);
    }
  }
  return { ends: Object.fromEntries(ends), missed };
}
const KINDS = [
  'a dropped insert',
  'a bad canonical form',
  'a truncated hash',
  'a missed read',
  'a lost parent',
  'a wrong independence',
  'a deaf judge',
];

const FIVE = [0, 1, 2, 3, 4];
/** Five users of one driver, who keep a lock or come too late: no shipped design has so many that do the same. */
const fiveUsers = (): Booted =>
  boot(
    design({
      name: 'five-users',
      title: 'five users of one driver',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: {
          locks: { 'drv->lock': {}, ...Object.fromEntries(FIVE.map((at) => [`lock${at}`, {}])) },
        },
        threads: Object.fromEntries(
          FIVE.map((at) => [
            `user${at}`,
            must([
              mutex_trylock('drv->lock'),
              if_ret('1', [mutex_lock(`lock${at}`), mutex_unlock('drv->lock')], [witness(`user${at} is too late`)]),
            ]),
          ]),
        ),
      }),
      expect: [],
    }),
  );
type Exchange = Symmetries<object, unknown>;
/** Forms that are the same for states of several orbits, or not the same for states of one. */
const forms: readonly Fault[] = (
  [
    ['all members take one place', 'canonical', (_real, self: Exchange) => self.identity().fill(0)],
    [
      'two members take one place',
      'canonical',
      (_real, self: Exchange) => self.identity().map((at) => (at === 1 ? 0 : at)),
    ],
    ['no member takes another place', 'canonical', (_real, self: Exchange) => self.identity()],
    [
      'members are sorted by nothing',
      'firstColours',
      (_real, self: Exchange) => new Uint32Array(self.identity().length),
    ],
    ...[0, 4].map((at): [string, string, Otherwise] => [
      `what user${at} does is left out`,
      'apply',
      (real, self: Exchange, given) => {
        const left = self.learned.packing.slotAt.get(`threads\0user${at}`);
        return (real.apply(self, given) as Uint16Array).map((id, slot) => (slot === left ? 0 : id));
      },
    ]),
  ] satisfies [string, string, Otherwise][]
).map(([what, method, otherwise]) =>
  fault('a bad canonical form', what, 'orbits', Symmetries, method, always(otherwise)),
);

describe('no fault of the engine gives a wrong verdict that passes the audit', () => {
  test('a few of every sort', { timeout: 120_000 }, () => {
    const { ends, missed } = planted(subjects.slice(0, 2), 3);
    expect(missed).toEqual([]);
    expect(Object.keys(ends).sort()).toEqual([...KINDS].sort());
  });
  test('nor does a bad canonical form of five who are interchangeable', { tags: ['long'] }, () => {
    const booted = fiveUsers();
    const right = swept(booted, 'orbits');
    expect(audit(booted, asked('orbits'), right, { reduced: true }).differences).toEqual([]);
    const truth = claimed(right, 'orbits');
    // A form that tells too many apart keeps more states, and members that are no longer alike are not exchanged.
    expect(forms.map((each) => outcomeOf(each, booted, truth))).toEqual([
      'audited',
      'audited',
      ...forms.slice(2).map(() => 'harmless'),
    ]);
  });
  test('hundreds of them, and two hundred and more are caught', { tags: ['long', 'overnight'], timeout: 0 }, () => {
    const { ends, missed } = planted(subjects, 8);
    expect(missed).toEqual([]);
    const caught = Object.values(ends).reduce((sum, { refused, audited }) => sum + refused + audited, 0);
    expect(caught, JSON.stringify(ends)).toBeGreaterThanOrEqual(200);
    for (const kind of KINDS) expect((ends[kind]?.refused ?? 0) + (ends[kind]?.audited ?? 0), kind).toBeGreaterThan(0);
  });
});
