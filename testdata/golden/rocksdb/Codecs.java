import org.rocksdb.*;
import java.nio.file.*;
import java.util.*;

/** One table of 300 entries: Codecs DIR FORMAT_VERSION COMPRESSION DICTIONARY_BYTES TRAIN_BYTES INDEX_TYPE ALIGN INDEX_INTERVAL TO. */
public class Codecs {
  public static void main(String[] a) throws Exception {
    RocksDB.loadLibrary();
    BlockBasedTableConfig table = new BlockBasedTableConfig();
    table.setFormatVersion(Integer.parseInt(a[1]));
    table.setBlockSize(1024);
    table.setIndexType(IndexType.valueOf(a[5]));
    table.setMetadataBlockSize(128);
    table.setBlockAlign(a[6].equals("1")); // not in 5.17
    table.setIndexBlockRestartInterval(Integer.parseInt(a[7])); // not in 5.17
    CompressionOptions compression = new CompressionOptions();
    compression.setEnabled(true); // not in 5.17
    compression.setMaxDictBytes(Integer.parseInt(a[3]));
    compression.setZStdMaxTrainBytes(Integer.parseInt(a[4])); // not in 5.17
    CompressionType type = CompressionType.valueOf(a[2]);
    Options options = new Options().setCreateIfMissing(true).setTableFormatConfig(table).setCompressionType(type)
        .setCompressionOptions(compression).setLevelCompactionDynamicLevelBytes(false);
    options.setBottommostCompressionOptions(compression); // not in 5.17
    RocksDB db = RocksDB.open(options, a[0]);
    FlushOptions flush = new FlushOptions().setWaitForFlush(true);
    WriteOptions write = new WriteOptions().setDisableWAL(true);
    // Twice, so that there is something to compact: only then old releases use dictionaries.
    for (int half = 0; half < 2; half++) {
      for (int i = half; i < 300; i += 2) {
        String value = "value-" + i + "-" + (i * 7919 % 1000) + "-aaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        db.put(write, String.format("key%05d", i).getBytes(), value.getBytes());
      }
      db.flush(flush);
    }
    db.compactRange();
    // The newest is what the compaction wrote.
    Path[] files = Files.list(Paths.get(a[0])).filter(p -> p.toString().endsWith(".sst")).sorted().toArray(Path[]::new);
    Files.copy(files[files.length - 1], Paths.get(a[8]), StandardCopyOption.REPLACE_EXISTING);
    Runtime.getRuntime().halt(0);
  }
}
