import { describe, expect, test } from 'vitest';
import { boot, design, libraryOf, must } from '../design.ts';
import type { Block, KernelObject } from '../machine.ts';
import { table } from '../schema.ts';
import { alone, stage, witnessed } from '../stage.ts';
import {
  call,
  dma_fence_signal,
  forever,
  goto,
  if_ret,
  if_var,
  kmalloc,
  label,
  may_go,
  mutex_trylock,
  return_,
  set,
  witness,
  work_a_while,
} from './index.ts';

const said = (body: Block, routines: Record<string, Block> = {}): string[] =>
  witnessed(alone(body, { routines }).facts);

describe('control flow', () => {
  test('if_ret takes the branch of what was returned, and only that', () => {
    const branch = (gfp: 'GFP_NOWAIT', way: string): string[] => {
      const at = stage({
        threads: {
          task: must([kmalloc(gfp), if_ret('-ENOMEM', [witness('fails')], [witness('has it')]), witness('on')]),
        },
      });
      return witnessed(at.plays(`task/${way}`));
    };
    expect(branch('GFP_NOWAIT', 'fails')).toEqual(['fails', 'on']);
    expect(branch('GFP_NOWAIT', 'ok')).toEqual(['has it', 'on']);
  });
  test('a story shows the choices of a driver, and not those within one call of the kernel', () => {
    const { booted } = stage({ threads: { task: must([kmalloc('GFP_NOWAIT'), if_ret('0', [witness('yes')])]) } });
    const choices = (routine: string): string[] =>
      (booted.machine.programs[routine] ?? []).flatMap((line) =>
        line.op === 'jump_unless' ? [booted.machine.ops[line.op]?.text(line) ?? 'no text'] : [],
      );
    expect(choices('task')).toEqual(['if (ret == 0)']);
    expect([...new Set(choices('ttm_bo_validate'))]).toEqual(['']);
  });
  test('if_var looks at a variable of the frame; set can keep the last return value', () => {
    const routines = { r: [return_('seven')] };
    expect(said([call('r'), set('x', 'ret'), if_var('x', ['six', 'seven'], [witness('yes')])], routines)).toEqual([
      'yes',
    ]);
    expect(said([call('r'), set('x', 'ret'), if_var('x', 'six', [witness('yes')], [witness('no')])], routines)).toEqual(
      ['no'],
    );
  });
  test('a routine has its own variables, and $me; its return value is the last', () => {
    const routines = { r: [witness('$who'), witness('$me'), return_('done')] };
    const { facts, ret } = alone([call('r', { who: 'bo0' })], { routines });
    expect(witnessed(facts)).toEqual(['bo0', 'task']);
    expect(ret).toBe('done');
  });
  test('goto leaves out what lies between; return leaves the rest', () => {
    expect(
      said([goto('out'), witness('skipped'), label('out'), witness('out'), return_('0'), witness('never')]),
    ).toEqual(['out']);
  });
  test('may_go offers its ways, tamest first, and returns the one taken', () => {
    const at = stage({ threads: { task: must([may_go('the firmware answers', ['ok', 'busy']), work_a_while('x')]) } });
    expect(at.ways('task')).toEqual(['ok', 'busy']);
    at.plays('task/busy');
    expect(at.ret('task')).toBe('busy');
  });
  test('local lines ride with the step before: others cannot come in between', () => {
    const at = stage({ threads: { task: must([work_a_while('x'), witness('a'), witness('b'), work_a_while('y')]) } });
    expect(witnessed(at.plays('task'))).toEqual(['a', 'b']);
  });
  test('local lines at the very beginning are said when the thread begins, not lost at boot', () => {
    expect(said([witness('first')])).toEqual(['first']);
  });
  test('a loop of local lines only is our mistake: it throws, and names the routine', () => {
    expect(() => alone([work_a_while('x'), forever([witness('a')])])).toThrow(
      /1000 local instructions in a row in task/,
    );
  });
});

describe('boot: our own mistakes throw early and say what exists', () => {
  test('two objects with one instruction, routine or table', () => {
    const twice = (one: Partial<KernelObject>): (() => unknown) => {
      const object: KernelObject = { ops: [], ...one };
      return () => libraryOf([object, object]);
    };
    expect(twice({ ops: [work_a_while] })).toThrow('the instruction "work_a_while" is declared by two objects');
    expect(twice({ routines: { again: [] } })).toThrow('the routine "again" is declared by two objects');
    expect(twice({ schema: { rows: table({}) } })).toThrow('the table "rows" is declared by two objects');
  });
  const boots = (body: Block) => () => alone(body, { objects: { locks: { a: {} } } });
  test('goto to an unknown label lists the labels', () => {
    expect(boots([label('again'), goto('agian')])).toThrow(/task: goto unknown label "agian"; there are: again/);
  });
  test('a label that stands twice', () => {
    expect(boots([label('a'), label('a')])).toThrow(/label "a" stands twice/);
  });
  test('an unknown routine', () => {
    expect(boots([call('evict')])).toThrow(/call names unknown routines "evict"; there are: .*shrink_slab/);
  });
  test('an unknown instruction', () => {
    expect(boots([{ op: 'mutex_lokc', lock: 'a' }])).toThrow(/task: unknown instruction "mutex_lokc"/);
  });
  test('a variable that the frame does not have, when it runs', () => {
    expect(boots([mutex_trylock('$lock')])).toThrow(/no variable \$lock here; there are: me/);
  });
  test('a name in a branch that is never taken', () => {
    expect(boots([if_ret('never', [dma_fence_signal('f')])])).toThrow(/unknown fences "f"; there are: none/);
  });
  test('an unknown kind of object lists the kinds', () => {
    expect(() => alone([], { objects: { mutexes: { a: {} } } as object })).toThrow(
      /unknown objects "mutexes"; there are: .*locks/,
    );
  });
  test('one name for a routine and a thread', () => {
    expect(() => alone([], { routines: { task: [] } })).toThrow(
      /"task" is declared twice among routines, calls and threads/,
    );
  });
  const knobbed = design({
    name: 'knobbed',
    title: 'knobbed',
    sources: [],
    knobs: { order: ['same', 'opposite'] },
    kernel: () => ({ threads: {} }),
    expect: [],
  });
  test('an unknown knob lists the knobs, an unknown value the values; what is left out is tame', () => {
    expect(() => boot(knobbed, { odrer: 'same' })).toThrow(/knobbed has no knob "odrer"; there are: order/);
    expect(() => boot(knobbed, { order: 'any' })).toThrow(/knob order cannot be "any"; it can be: same, opposite/);
    expect(boot(knobbed).knobs).toEqual({ order: 'same' });
  });
});
