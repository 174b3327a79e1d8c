/**
 * Fuzz of dma_buf against plain counters: who is attached, what is mapped where, how often it is pinned, written from the
 * rules. After every call both agree on the counters, on the complaints, and on which mapping a device may still use.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { follow } from '../case.ts';
import { ioctl, start } from '../design.ts';
import type { Block, KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  dma_buf_attach,
  dma_buf_begin_move,
  dma_buf_detach,
  dma_buf_device_access,
  dma_buf_export,
  dma_buf_finish_move,
  dma_buf_map_attachment,
  dma_buf_move_notify,
  dma_buf_pin,
  dma_buf_unmap_attachment,
  dma_buf_unpin,
  dma_buf_vmap,
  dma_buf_vunmap,
  dma_resv_lock,
  dma_resv_unlock,
  exporter,
  return_,
  user,
} from './index.ts';

/** A static and a dynamic importer of a buffer that may move, and of one that never does. */
const ATTACHMENTS = { display: false, gpu: true, camera: false, npu: true } as const;
type Attachment = keyof typeof ATTACHMENTS;
const names = Object.keys(ATTACHMENTS) as Attachment[];
const bufOf = (attach: Attachment): 'moves' | 'stays' => (attach === 'display' || attach === 'gpu' ? 'moves' : 'stays');
const BUFS = ['moves', 'stays'] as const;
type Buf = (typeof BUFS)[number];

const under = (buf: string, lines: Block): Block => [dma_resv_lock(buf), lines, dma_resv_unlock(buf)];
const each = { attach: names };
const buf = { buf: BUFS };
/** Every call with the reservation as it should be; the one that holds it wrongly has a name of its own. */
const booted = bootKernel({
  objects: {
    resvs: { moves: {}, stays: {} },
    dma_bufs: { moves: exporter('moves', { dynamic: true }), stays: exporter('stays') },
    attachments: Object.fromEntries(
      names.map((name) => [
        name,
        { buf: bufOf(name), dynamic: ATTACHMENTS[name], invalidate: ATTACHMENTS[name] ? 'told' : '' },
      ]),
    ),
  },
  routines: { told: [return_('0')] },
  threads: { task: user() },
  calls: {
    export_: ioctl(buf, dma_buf_export('$buf')),
    attach: ioctl(each, dma_buf_attach('$attach')),
    detach: ioctl(each, dma_buf_detach('$attach')),
    map: ioctl({ ...each, ...buf }, under('$buf', dma_buf_map_attachment('$attach'))),
    unmap: ioctl({ ...each, ...buf }, under('$buf', dma_buf_unmap_attachment('$attach'))),
    pin: ioctl({ ...each, ...buf }, under('$buf', dma_buf_pin('$attach'))),
    unpin: ioctl({ ...each, ...buf }, under('$buf', dma_buf_unpin('$attach'))),
    map_without: ioctl(each, dma_buf_map_attachment('$attach')),
    pin_without: ioctl(each, dma_buf_pin('$attach')),
    tell: ioctl(buf, under('$buf', [dma_buf_move_notify('$buf')])),
    move: ioctl(buf, under('$buf', [dma_buf_begin_move('$buf')])),
    moved: ioctl(buf, [dma_buf_finish_move('$buf')]),
    vmap: ioctl(buf, under('$buf', [dma_buf_vmap('$buf')])),
    vunmap: ioctl(buf, under('$buf', [dma_buf_vunmap('$buf')])),
    use: ioctl(each, [dma_buf_device_access('$attach')]),
  },
});

type Command = readonly [call: string, of: Attachment, buf: Buf];
const ON_BUF = ['export_', 'tell', 'move', 'moved', 'vmap', 'vunmap'];
const ON_BOTH = ['map', 'unmap', 'pin', 'unpin'];
const textOf = ([call, of, on]: Command): string =>
  ON_BUF.includes(call) ? `${call}(${on})` : ON_BOTH.includes(call) ? `${call}(${of}, ${bufOf(of)})` : `${call}(${of})`;

/** What is known of an attachment: how many times it pins, and which storage its mapping leads to. */
interface Counted {
  attached: boolean;
  pins: number;
  /** The move after which the mapping was made; nothing while there is none. */
  mappedAfter: number | null;
  told: boolean;
}
class Oracle {
  readonly of = Object.fromEntries(
    names.map((name) => [name, { attached: false, pins: 0, mappedAfter: null, told: false }]),
  ) as Record<Attachment, Counted>;
  readonly bufs = Object.fromEntries(BUFS.map((on) => [on, { pins: 0, vmaps: 0, begun: 0, over: 0 }])) as Record<
    Buf,
    { pins: number; vmaps: number; begun: number; over: number }
  >;
  /** B-17: a static mapping pins what may move. */
  readonly staticPins: boolean;
  constructor(staticPins = true) {
    this.staticPins = staticPins;
  }
  /** The counters have a bound; a mapping is made once before it is undone; a move ends before the next. */
  possible([call, of, on]: Command): boolean {
    const counted = this.of[of];
    if (call === 'pin' || call === 'pin_without') return this.bufs[bufOf(of)].pins < 8;
    if (call === 'vmap') return this.bufs[on].vmaps < 8;
    if (call === 'map' || call === 'map_without') return counted.mappedAfter === null;
    if (call === 'move') return this.bufs[on].begun === this.bufs[on].over;
    return true;
  }
  pinsByMapping(of: Attachment): boolean {
    return this.staticPins && !ATTACHMENTS[of] && bufOf(of) === 'moves';
  }
  stale(of: Attachment): string {
    const { mappedAfter } = this.of[of];
    const { begun, over } = this.bufs[bufOf(of)];
    if (mappedAfter === null) return 'unmapped';
    if (mappedAfter < over) return 'gone';
    return mappedAfter === begun && begun > over ? 'too early' : 'good';
  }
  does([call, of, on]: Command): { rules: string[]; use?: string } {
    const counted = this.of[of];
    const held = call.endsWith('_without') ? [] : ['held'];
    const rules: string[] = [];
    const when = (broken: boolean, rule: string): void => {
      if (broken) rules.push(rule);
    };
    const pin = (which: Buf): void => {
      const row = this.bufs[which];
      when(row.begun > row.over, 'B-11');
      row.pins += 1;
    };
    switch (call) {
      case 'attach':
        counted.attached = true;
        break;
      case 'detach':
        when(!counted.attached, 'B-7');
        when(counted.mappedAfter !== null, 'B-7');
        when(counted.pins > 0, 'B-12');
        Object.assign(counted, { attached: false, told: false });
        break;
      case 'map':
      case 'map_without': {
        when(held.length === 0, 'B-13');
        when(!counted.attached, 'B-13');
        if (this.pinsByMapping(of)) pin(bufOf(of));
        Object.assign(counted, { mappedAfter: this.bufs[bufOf(of)].begun, told: false });
        break;
      }
      case 'unmap':
        when(counted.mappedAfter === null, 'B-15');
        if (counted.mappedAfter !== null && this.pinsByMapping(of)) this.bufs[bufOf(of)].pins -= 1;
        Object.assign(counted, { mappedAfter: null, told: false });
        break;
      case 'pin':
      case 'pin_without':
        when(!ATTACHMENTS[of], 'B-10');
        when(held.length === 0, 'B-10');
        pin(bufOf(of));
        counted.pins += 1;
        break;
      case 'unpin':
        when(!ATTACHMENTS[of], 'B-10');
        when(counted.pins === 0, 'B-12');
        if (counted.pins > 0) {
          counted.pins -= 1;
          this.bufs[bufOf(of)].pins -= 1;
        }
        break;
      case 'tell':
        for (const name of names)
          if (bufOf(name) === on && ATTACHMENTS[name] && this.of[name].attached)
            this.of[name].told = this.of[name].mappedAfter !== null;
        break;
      case 'move': {
        const row = this.bufs[on];
        when(row.pins > 0, 'B-12');
        for (const name of names.filter((one) => bufOf(one) === on)) {
          if (this.of[name].mappedAfter !== row.begun) continue;
          when(ATTACHMENTS[name] && !this.of[name].told, 'B-20');
          when(!ATTACHMENTS[name] && row.pins === 0, 'I-15');
        }
        row.begun += 1;
        break;
      }
      case 'moved':
        this.bufs[on].over = this.bufs[on].begun;
        break;
      case 'vmap':
        this.bufs[on].vmaps += 1;
        break;
      case 'vunmap':
        when(this.bufs[on].vmaps === 0, 'B-30');
        this.bufs[on].vmaps = Math.max(0, this.bufs[on].vmaps - 1);
        break;
      case 'use':
        return { rules, use: this.stale(of) };
    }
    return { rules };
  }
  shows(): unknown {
    return {
      bufs: BUFS.map((on) => [this.bufs[on].pins, this.bufs[on].vmaps, this.bufs[on].begun > this.bufs[on].over]),
      of: names.map((name) => [this.of[name].attached, this.of[name].pins, this.of[name].mappedAfter !== null]),
    };
  }
}
const objectShows = (kernel: KernelState): unknown => ({
  bufs: BUFS.map((on) => kernel.dma_bufs[on]).map((row) => [row?.pins, row?.vmaps, row?.moving]),
  of: names.map((name) => kernel.attachments[name]).map((row) => [row?.attached, row?.pins, row?.mapping !== 'none']),
});
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/has no mapping/, 'unmapped'],
  [/leads to where/, 'gone'],
  [/is not over/, 'too early'],
];

function plays(kernel: KernelState): { rules: string[]; use?: string } {
  const rules: string[] = [];
  let use: string | undefined;
  for (;;) {
    const { facts, choice } = follow(booted.machine, kernel, 'task');
    if (!choice) throw new Error('the task cannot go on');
    for (const fact of facts) {
      if (fact.kind === 'misuse') rules.push(fact.rule);
      const { stale = null } = fact.kind === 'accesses' ? fact : {};
      if (fact.kind === 'accesses') use = stale === null ? 'good' : KINDS.find(([says]) => says.test(stale))?.[1];
    }
    if (facts.some((fact) => fact.kind === 'returned' && fact.to === 'user'))
      return { rules, ...(use === undefined ? {} : { use }) };
  }
}
function compare(commands: readonly Command[], oracle: Oracle): number {
  const plan = new Oracle(oracle.staticPins);
  const possible = commands.filter((command) => {
    const can = plan.possible(command);
    if (can) plan.does(command);
    return can;
  });
  const kernel = start(booted, { task: possible.map(textOf) });
  possible.forEach((command, at) => {
    const wanted = oracle.does(command);
    const said = plays(kernel);
    expect(
      { ...said, rules: said.rules.sort(), ...(objectShows(kernel) as object) },
      `after ${possible
        .slice(0, at + 1)
        .map(textOf)
        .join('; ')}`,
    ).toEqual({ ...wanted, rules: wanted.rules.sort(), ...(oracle.shows() as object) });
  });
  return possible.length;
}

const command: fc.Arbitrary<Command> = fc.tuple(
  fc.constantFrom(
    ...['export_', 'attach', 'attach', 'detach', 'map', 'map', 'unmap', 'pin', 'unpin', 'map_without', 'pin_without'],
    ...['tell', 'tell', 'move', 'moved', 'vmap', 'vunmap', 'use', 'use', 'use'],
  ),
  fc.constantFrom(...names),
  fc.constantFrom(...BUFS),
);
const session = fc.array(command, { minLength: 100, maxLength: 100 });
function fuzz(sessions: number, oracle: () => Oracle): number {
  let played = 0;
  const check = (commands: readonly Command[]): void => {
    played += compare(commands, oracle());
  };
  fc.assert(fc.property(session, check), { numRuns: sessions, seed: 6 });
  return played;
}

describe('dma_buf against plain counters', () => {
  test('I-15: pins, mappings, complaints and what a device may still use are those of the counters', () => {
    expect(fuzz(8, () => new Oracle())).toBeGreaterThan(500);
  });
  test('a hundred thousand calls', { tags: ['long'] }, () => {
    expect(fuzz(1300, () => new Oracle())).toBeGreaterThan(100_000);
  });
  test('it can fail: counters that know of no static pins are told apart', () => {
    expect(() => fuzz(20, () => new Oracle(false))).toThrow(/after/);
  });
});
