import { describe, expect, test } from 'vitest';
import { type Library, boot, everything, libraryOf, settings } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { type KernelObject, instruction, returns } from '../../model/machine.ts';
import { objects } from '../../model/objects/index.ts';
import { flag, int, table } from '../../model/schema.ts';
import { properties } from '../../properties/index.ts';
import { sweep } from '../../properties/search/sweep.ts';
import { largestStates, neededObjects, packedBytes, packingOf, said } from './size.ts';

const every = designs.flatMap((design) => settings(design).map((knobs) => ({ design, knobs })));
const slotsOf = (of: (typeof every)[number], from: Library): string[] =>
  packingOf(boot(of.design, of.knobs, from)).slots.map(({ path }) => path.join('.'));

/** First settings of designs, those with the fewest states first. */
const smallest = (count: number): typeof every =>
  designs
    .map((design) => ({ design, knobs: settings(design)[0] as (typeof every)[number]['knobs'] }))
    .map((each) => ({ ...each, states: sweep(boot(each.design, each.knobs), properties, { maxStates: 700 }).states }))
    .sort((a, b) => a.states - b.states)
    .slice(0, count);

/** An object that nobody uses: a table, an instruction and a routine. */
const nobodys: KernelObject = {
  schema: { gadgets: table({ count: int(3), broken: flag }) },
  ops: [
    instruction('gadget_get', (gadget: string) => ({ gadget }), {
      text: ({ gadget }) => `gadget_get(${gadget})`,
      touches: ({ gadget }) => [['gadgets', gadget]],
      run: (kernel, me) => returns(kernel, me, '0'),
    }),
  ],
  routines: { gadget_reset: [] },
};

describe('the size of a state', () => {
  test('is under 1 KiB packed for every setting of every design', () => {
    const largest = new Map(largestStates().map(({ design, bytes }) => [design, bytes]));
    for (const { design, knobs } of every) {
      const bytes = packedBytes(boot(design, knobs));
      expect(bytes, design.name).toBeGreaterThan(0);
      expect(bytes, design.name).toBeLessThan(1024);
      expect(largest.get(design.name), design.name).toBeGreaterThanOrEqual(bytes);
    }
  });
});

describe('an object that a design does not use', () => {
  test('has no slot in its states', () => {
    const withNobodys = libraryOf([...objects, nobodys]);
    for (const each of every) expect(slotsOf(each, withNobodys)).toEqual(slotsOf(each, everything));
  });
  test('would have one if it kept something outside its tables, and none of ours does', () => {
    const [each] = every as [(typeof every)[number]];
    const greedy: KernelObject = { schema: { gadget_total: int(3) }, ops: [] };
    expect(slotsOf(each, libraryOf([...objects, greedy]))).toEqual([...slotsOf(each, everything), 'gadget_total']);
    for (const { schema = {} } of objects)
      for (const [slice, { kind }] of Object.entries(schema)) expect([slice, kind]).toEqual([slice, 'table']);
  });
  test('changes nothing by being there: not the slots, nor what a sweep counts, learns and finds', () => {
    for (const { design, knobs } of smallest(3)) {
      const needed = neededObjects(design, knobs);
      expect(needed.length, design.name).toBeGreaterThan(2);
      expect(needed.length, design.name).toBeLessThan(objects.length / 2);
      expect(slotsOf({ design, knobs }, libraryOf(needed))).toEqual(slotsOf({ design, knobs }, everything));
      expect(said(design, knobs, needed)).toBe(said(design, knobs, objects));
    }
  });
  test('and one that it does use does: without it there is no boot, or another story', () => {
    const [{ design, knobs }] = smallest(1) as [(typeof every)[number]];
    const needed = neededObjects(design, knobs);
    const expected = said(design, knobs, objects);
    for (const object of needed) {
      const without = (): string =>
        said(
          design,
          knobs,
          needed.filter((each) => each !== object),
        );
      let story = '';
      try {
        story = without();
      } catch (error) {
        story = (error as Error).message;
      }
      expect(story).not.toBe(expected);
    }
  });
});
