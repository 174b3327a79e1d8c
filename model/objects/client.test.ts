import { expect, test } from 'vitest';
import { alone } from '../stage.ts';
import { misbehaves, punish } from './index.ts';

const objects = { clients: { game: {}, desktop: {} } };

test('T-2: who misbehaved before is guilty when it pays', () => {
  const { facts } = alone([misbehaves('game', 'hangs'), punish('game', 'its queue is reset')], { objects });
  expect(facts).toContainEqual({
    kind: 'punished',
    thread: 'task',
    client: 'game',
    how: 'its queue is reset',
    guilty: true,
  });
});
test('T-8: who pays for another is innocent', () => {
  const { facts } = alone([misbehaves('game', 'hangs'), punish('desktop', 'its job is lost')], { objects });
  expect(facts).toContainEqual(expect.objectContaining({ client: 'desktop', guilty: false }));
});
test('T-8: who misbehaves only afterwards was innocent', () => {
  const { facts } = alone([punish('game', 'its job is lost'), misbehaves('game', 'hangs')], { objects });
  expect(facts).toContainEqual(expect.objectContaining({ client: 'game', guilty: false }));
});
test('an unknown client lists the clients there are', () => {
  expect(() => alone([punish('browser', 'x')], { objects })).toThrow(
    /unknown clients "browser"; there are: game, desktop/,
  );
});
