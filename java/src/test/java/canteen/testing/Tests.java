package canteen.testing;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;

/**
 * Runs tests where no test library can be had: every public method without parameters of the classes
 * named is one, on an object of its own, which is closed afterwards if it can be. {@code Class:method}
 * names one of them.
 */
public final class Tests {
    private static int failed;

    private Tests() {}

    /** Something to do that may throw. */
    @FunctionalInterface
    public interface Action {
        /** Does it. */
        void run() throws Exception;
    }

    public static void main(String[] classNames) throws Exception {
        int count = 0;
        for (String name : classNames) {
            String[] parts = name.split(":");
            Class<?> tests = Class.forName(parts[0]);
            for (Method test : methods(tests)) {
                if (parts.length > 1 && !test.getName().equals(parts[1])) {
                    continue;
                }
                count++;
                run(tests, test);
            }
        }
        System.out.printf("%d tests, %d failed%n", count, failed);
        System.exit(failed == 0 && count > 0 ? 0 : 1);
    }

    public static void equal(Object wanted, Object met) {
        if (!Objects.deepEquals(wanted, met)) {
            throw new AssertionError("wanted <" + wanted + ">, met <" + met + ">");
        }
    }

    public static <T> void holds(T met, Predicate<T> condition) {
        if (!condition.test(met)) {
            throw new AssertionError("does not hold of <" + met + ">");
        }
    }

    public static <E extends Throwable> E thrown(Class<E> kind, Action action) {
        try {
            action.run();
        } catch (Throwable met) {
            if (kind.isInstance(met)) {
                return kind.cast(met);
            }
            throw new AssertionError("wanted " + kind.getSimpleName() + ", met " + met, met);
        }
        throw new AssertionError("wanted " + kind.getSimpleName() + ", and nothing was thrown");
    }

    private static List<Method> methods(Class<?> tests) {
        return Arrays.stream(tests.getDeclaredMethods())
            .filter(one -> Modifier.isPublic(one.getModifiers()) && one.getParameterCount() == 0)
            .filter(one -> !Modifier.isStatic(one.getModifiers()) && !one.getName().equals("close"))
            .sorted(Comparator.comparing(Method::getName))
            .toList();
    }

    private static void run(Class<?> tests, Method test) throws Exception {
        Object object = tests.getDeclaredConstructor().newInstance();
        try {
            test.invoke(object);
            System.out.println("passed " + tests.getSimpleName() + " " + test.getName());
        } catch (InvocationTargetException e) {
            failed++;
            System.out.println("FAILED " + tests.getSimpleName() + " " + test.getName());
            e.getCause().printStackTrace(System.out);
        } finally {
            if (object instanceof AutoCloseable open) {
                open.close();
            }
        }
    }
}
