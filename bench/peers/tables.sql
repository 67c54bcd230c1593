-- What all peers store in: the same tables and indexes for each, made by bench/peers/servers.py.
CREATE TABLE quiz (
  id BIGINT AUTO_INCREMENT PRIMARY KEY, slug VARCHAR(80) NOT NULL UNIQUE, title VARCHAR(200) NOT NULL,
  opens_at DATETIME(6) NOT NULL, closes_at DATETIME(6) NOT NULL
);
CREATE TABLE question (
  id BIGINT AUTO_INCREMENT PRIMARY KEY, quiz_id BIGINT NOT NULL, position INT NOT NULL, stem VARCHAR(500) NOT NULL,
  choices JSON NOT NULL, correct INT NOT NULL, FOREIGN KEY (quiz_id) REFERENCES quiz (id)
);
CREATE TABLE attempt (
  id BIGINT AUTO_INCREMENT PRIMARY KEY, token CHAR(32) NOT NULL UNIQUE, quiz_id BIGINT NOT NULL,
  player_name VARCHAR(40) NOT NULL, started_at DATETIME(6) NOT NULL, finished_at DATETIME(6) NULL, score INT NULL,
  milliseconds BIGINT NULL, FOREIGN KEY (quiz_id) REFERENCES quiz (id), INDEX board (quiz_id, score, milliseconds)
);
CREATE TABLE answer (
  id BIGINT AUTO_INCREMENT PRIMARY KEY, attempt_id BIGINT NOT NULL, question_id BIGINT NOT NULL, choice INT NOT NULL,
  answered_at DATETIME(6) NOT NULL, UNIQUE (attempt_id, question_id), FOREIGN KEY (attempt_id) REFERENCES attempt (id),
  FOREIGN KEY (question_id) REFERENCES question (id)
);
INSERT INTO quiz (slug, title, opens_at, closes_at)
  VALUES ('push', 'The push', NOW(6) - INTERVAL 1 DAY, NOW(6) + INTERVAL 1 DAY);
INSERT INTO question (quiz_id, position, stem, choices, correct)
  WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9)
  SELECT 1, n, CONCAT('Question ', n + 1, '?'), '["red", "green", "blue", "none"]', n % 4 FROM numbers;
