//! Generative adversarial nets on the ganforge tensor engine.
