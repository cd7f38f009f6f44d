export { Decider } from './decider.js';
export { EdgeError } from './errors.js';
export { draw, partitionOf } from './hashing/draw.js';
