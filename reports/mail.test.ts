import { describe, expect, test } from 'vitest';
import { mail } from './mail.ts';
import { tellings } from './every-telling.ts';
import { PLAIN } from './reporter.ts';
import { stepsOf } from './telling.ts';
import { ascii } from './wrap.ts';

describe('a mail', () => {
  test('of any counterexample is plain ASCII in 72 columns, without a space at an end of a line', () => {
    expect(tellings.length).toBeGreaterThan(100);
    for (const telling of tellings) {
      const text = mail.render(telling, PLAIN);
      expect(text).toMatch(/^[\n -~]+$/);
      for (const line of text.split('\n')) {
        expect(line.length, line).toBeLessThanOrEqual(72);
        expect(line).toBe(line.trimEnd());
      }
    }
  });
  test('has every step once, in order, and says what is broken and by which rule', () => {
    const flat = (text: string): string => text.replace(/\s+/g, ' ');
    for (const telling of tellings) {
      const text = mail.render(telling, PLAIN);
      const numbers = [...text.matchAll(/^(\d+)\. +\S+: /gm)].map(([, number]) => Number(number));
      expect(numbers, telling.design).toEqual(stepsOf(telling).map(({ number }) => number));
      expect(flat(text)).toContain(flat(ascii(telling.blame?.rules.join(', ') ?? '?')));
    }
  });
  test('has no line that a mail program takes for something else: a quotation, a signature, a new mail', () => {
    for (const telling of tellings) expect(mail.render(telling, PLAIN)).not.toMatch(/^(>|--? ?$|From )/m);
  });
});

test('signs become their likeness in ASCII, accents go, and what has none is a question mark', () => {
  expect(ascii('a → b … König ✓ 漢 ok')).toBe('a -> b ... Konig + ? ok');
});
